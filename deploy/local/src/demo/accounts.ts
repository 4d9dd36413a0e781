import { createHash, randomBytes } from 'node:crypto';

import { bytesToHex } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { signerFromKey } from '@cupel/signing/secp256k1';
import type { Signer } from '@cupel/signing/secp256k1';

/** One key of the story: who holds it off chain, and its address on chain. */
export interface Account {
  readonly name: string;
  readonly key: Hex;
  readonly signer: Signer;
  readonly address: Hex;
}

/** Keys of one provider: four roles on chain, and what its edge holds. */
export interface ProviderAccounts {
  readonly owner: Account;
  readonly operator: Account;
  readonly receiptSigner: Account;
  readonly payout: Account;
  readonly settlement: Account;
  readonly defender: Account;
}

export interface Accounts {
  /** The first account that anvil funds; deploys, and hands out coins and test tokens. */
  readonly faucet: Account;
  readonly consumer: Account;
  readonly gateway: { readonly payer: Account; readonly payout: Account; readonly settlement: Account };
  readonly verifier: Account;
  readonly honest: ProviderAccounts;
  readonly cheat: ProviderAccounts;
}

/** anvil's published first development key (mnemonic "test test … junk"): worth nothing outside a development chain. */
const ANVIL_FIRST_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

const account = (name: string, key: Hex): Account => {
  const signer = signerFromKey(key);
  return { name, key, signer, address: signer.address };
};

/** Fresh keys for one run of the story; nothing is kept beyond its state folder. */
export const newAccounts = (): Accounts => {
  const fresh = (name: string) => account(name, bytesToHex(randomBytes(32)));
  const provider = (name: string): ProviderAccounts => ({
    owner: fresh(`${name} owner`),
    operator: fresh(`${name} operator`),
    receiptSigner: fresh(`${name} receipt signer`),
    payout: fresh(`${name} payout`),
    settlement: fresh(`${name} settlement`),
    defender: fresh(`${name} defender`),
  });
  return {
    faucet: account('faucet', ANVIL_FIRST_KEY),
    consumer: fresh('consumer'),
    gateway: { payer: fresh('gateway payer'), payout: fresh('gateway payout'), settlement: fresh('gateway settlement') },
    verifier: fresh('verifier'),
    honest: provider('honest'),
    cheat: provider('cheat'),
  };
};

/** A random token of 32 bytes, base64url. */
export const newToken = (): string => randomBytes(32).toString('base64url');

export const newKeyHex = (): Hex => bytesToHex(randomBytes(32));

export const sha256Hex = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** Every secret text of a run: what must appear in no log, event or status. */
export const secretKeys = (accounts: Accounts): string[] =>
  [
    accounts.consumer,
    ...Object.values(accounts.gateway),
    accounts.verifier,
    ...Object.values(accounts.honest),
    ...Object.values(accounts.cheat),
  ].map((a) => a.key.slice(2));
