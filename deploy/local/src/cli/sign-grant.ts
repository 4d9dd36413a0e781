import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { SIGNER_GRANT, digester } from '@cupel/protocol/eip712';
import { address, encodeJson } from '@cupel/protocol/wire/scalars';
import { keccak256 } from '@cupel/signing/keccak';
import { signerFromKey } from '@cupel/signing/secp256k1';

import { firstVersionOf } from '../demo/grants.ts';

/**
 * Signs the grants that let an edge's hot key sign receipts of some entries, with the owner's cold key, offline; prints grants.json.
 * Version ids are known before registration: <namespace>/<name> of each ModelProvider, version 1.
 */
const usage =
  'usage: sign-grant.ts --owner-key-file F --signer 0x… --chain-id N --registry 0x… [--days 90] <namespace>/<name> …   (prints grants.json)';
const text = { type: 'string' } as const;
const { values, positionals: slugs } = parseArgs({
  options: { 'owner-key-file': text, signer: text, 'chain-id': text, registry: text, days: { type: 'string', default: '90' } },
  allowPositionals: true,
});
const keyFile = values['owner-key-file'];
const days = Number(values.days);
if (!keyFile || !values.signer || !values.registry || !/^\d+$/.test(values['chain-id'] ?? '') || slugs.length === 0 || !(days > 0)) {
  console.error(usage);
  process.exit(2);
}
const owner = signerFromKey(await readFile(keyFile, 'utf8'));
const digest = digester(keccak256, SIGNER_GRANT, {
  name: 'ModelRegistry',
  chainId: BigInt(values['chain-id']!),
  verifyingContract: address.parse(values.registry),
});
const notAfter = BigInt(Math.floor(Date.now() / 1000 + days * 86_400));
const grants = slugs.map((slug) => {
  const grant = { versionId: firstVersionOf(owner.address, slug).versionId, signer: address.parse(values.signer), notAfter };
  return { ...grant, signature: owner.sign(digest(grant)) };
});
console.log(encodeJson(grants));
