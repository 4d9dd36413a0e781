import { writeFileSync } from 'node:fs';

import {
  CLOSE_AUTHORIZATION,
  CONSENT,
  OPEN_AUTHORIZATION,
  RECEIPT,
  SESSION,
  SIGNER_GRANT,
  VOUCHER,
  digester,
  encodeType,
} from '@cupel/protocol/eip712';
import { bytesToHex } from '@cupel/protocol/hex';
import { channelIdOf, modelIdOf, versionIdOf } from '@cupel/protocol/ids';
import { receiptProof, receiptRoot } from '@cupel/protocol/receipt-tree';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import { keccak256 } from '../src/keccak.ts';
import { signerFromKey } from '../src/secp256k1.ts';

/** Writes packages/protocol/test/vectors/eip712.json: what TypeScript computes, for Solidity to agree with. `--check` compares instead. */
const word = (n: number) => `0x${n.toString(16).padStart(2, '0').repeat(32)}` as const;
const account = (n: number) => `0x${n.toString(16).padStart(2, '0').repeat(20)}` as const;

const chainId = 31337n;
const contracts = { PaymentChannels: account(0xa1), ModelRegistry: account(0xa2), DisputeManager: account(0xa3) };
const domain = <N extends keyof typeof contracts>(name: N) => ({ name, chainId, verifyingContract: contracts[name] });

export const vectors = () => {
  const values = {
    voucher: { channelId: word(1), maxClaimableAmount: 123_456_789n },
    openAuthorization: { channelId: word(1), amount: 5n, nonce: word(2), deadline: 1_800_000_000n },
    closeAuthorization: { channelId: word(1), finalAmount: 6n, deadline: 1_800_000_000n },
    session: { channelId: word(1), keyHash: word(3), maxUnpaid: 7n, notAfter: 1_800_000_000n },
    receipt: {
      versionId: word(1),
      requestId: word(2),
      channelId: word(3),
      inputHash: word(4),
      outputHash: word(5),
      paramsHash: word(6),
      inputUnits: 7n,
      outputUnits: 8n,
      price: 9_000_000n,
      cumulative: (1n << 128n) - 1n,
      beneficiary: account(0xb1),
      issuedAt: 1_790_000_000n,
      outcome: 2n,
    },
    grant: { versionId: word(1), signer: account(0xb2), notAfter: 1_800_000_000n },
    consent: { receipt: word(9), challenger: account(0xb3), notAfter: 1_800_000_000n },
  } as const;
  const digests = {
    voucher: digester(keccak256, VOUCHER, domain('PaymentChannels'))(values.voucher),
    openAuthorization: digester(keccak256, OPEN_AUTHORIZATION, domain('PaymentChannels'))(values.openAuthorization),
    closeAuthorization: digester(keccak256, CLOSE_AUTHORIZATION, domain('PaymentChannels'))(values.closeAuthorization),
    session: digester(keccak256, SESSION, domain('PaymentChannels'))(values.session),
    receipt: digester(keccak256, RECEIPT, domain('ModelRegistry'))(values.receipt),
    grant: digester(keccak256, SIGNER_GRANT, domain('ModelRegistry'))(values.grant),
    consent: digester(keccak256, CONSENT, domain('DisputeManager'))(values.consent),
  };
  const descriptor = {
    payer: account(1),
    payee: account(2),
    token: account(3),
    signerKind: 0,
    signer: account(4),
    withdrawDelay: 3600,
    salt: word(5),
  };
  const modelId = modelIdOf(keccak256, account(1), 'honest/digits');
  const leaves = [1, 2, 3, 4, 5].map((n) => keccak256(Uint8Array.of(n)));
  const signer = signerFromKey(word(0x11));
  return {
    chainId,
    contracts,
    types: [VOUCHER, OPEN_AUTHORIZATION, CLOSE_AUTHORIZATION, SESSION, RECEIPT, SIGNER_GRANT, CONSENT].map((t) => encodeType(t)),
    values,
    digests: Object.fromEntries(Object.entries(digests).map(([k, v]) => [k, bytesToHex(v)])),
    signed: { key: word(0x11), address: signer.address, voucherSignature: signer.sign(digests.voucher) },
    ids: {
      owner: account(1),
      slug: 'honest/digits',
      modelId,
      versionId: versionIdOf(keccak256, modelId, 1),
      descriptor,
      channelId: channelIdOf(keccak256, descriptor),
    },
    receiptTree: {
      digests: leaves.map(bytesToHex),
      root: bytesToHex(receiptRoot(keccak256, leaves)),
      proof3: receiptProof(keccak256, leaves, 3).map(bytesToHex),
    },
  };
};

if (import.meta.main) {
  const path = new URL('../../protocol/test/vectors/eip712.json', import.meta.url);
  writeFileSync(path, `${JSON.stringify(JSON.parse(encodeJson(vectors())), null, 2)}\n`);
}
