import type { Keccak256 } from '@cupel/protocol/eip712';
import { bytesToHex, concatBytes, hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';

/** EIP-170 allows 24,576 bytes of code, the first of which is 0x00: what an ExecutionArbiter can be shown. */
export const MAX_WEIGHT_BYTES = 24_575;

/** Returns what follows it, as in DataStore.sol: PUSH1 11, CODESIZE, SUB, DUP1, PUSH1 11, PUSH0, CODECOPY, PUSH0, RETURN, then 0x00. */
const CREATION_CODE = hexToBytes('0x600b380380600b5f395ff300');

const SALT = new Uint8Array(32);

/**
 * The deterministic deployment proxy: calldata is salt ‖ creation code. It stands at this address on most chains, and needs no configuration.
 * Source: github.com/Arachnid/deterministic-deployment-proxy.
 */
export const DEPLOYMENT_PROXY: Hex = '0x4e59b44847b379578588920ca78fbf26c0b4956c';

export interface DataContract {
  /** Where `factory` puts it by CREATE2 with salt 0 (EIP-1014). */
  readonly address: Hex;
  /** Its code: 0x00 ‖ weights. */
  readonly code: Hex;
  /** Calldata for the deployment proxy. */
  readonly proxyData: Hex;
}

export const dataContract = (keccak: Keccak256, factory: Hex, weights: Uint8Array): DataContract => {
  const creation = concatBytes(CREATION_CODE, weights);
  const hash = keccak(concatBytes(Uint8Array.of(0xff), hexToBytes(factory, 20), SALT, keccak(creation)));
  return {
    address: bytesToHex(hash.subarray(12)),
    code: bytesToHex(concatBytes(Uint8Array.of(0), weights)),
    proxyData: bytesToHex(concatBytes(SALT, creation)),
  };
};
