import { isForbidden } from '@cupel/kube/api-error';
import type { Client } from '@cupel/kube/client';
import { secrets } from '@cupel/kube/resource';
import type { DataObject } from '@cupel/kube/resource';
import { FINALIZER_KEY_IN_USE } from '@cupel/protocol/crd/definition';
import { signerFromKey } from '@cupel/signing/secp256k1';
import type { Signer } from '@cupel/signing/secp256k1';

import type { KeyReference } from '../reconcilers/modelprovider/ports.ts';

export type KeyResult =
  | { readonly state: 'missing' | 'invalid'; readonly message: string }
  | { readonly state: 'present'; readonly signer: Signer; readonly secret: DataObject; readonly held: boolean };

/** Secrets are read one by one, by name, when they are needed: no list, no watch, nothing kept. */
export interface Keys {
  signer(reference: KeyReference): Promise<KeyResult>;
  /** One value of a Secret as text. Throws with the name, never the content. */
  text(reference: KeyReference): Promise<string>;
}

export const createKeys = (client: Pick<Client, 'get'>): Keys => {
  const read = async ({ namespace, name, key }: KeyReference): Promise<{ secret: DataObject; text: string } | string> => {
    let secret: DataObject | undefined;
    try {
      secret = await client.get(secrets, { namespace, name });
    } catch (error) {
      if (isForbidden(error)) return `the operator may not read Secrets in namespace ${namespace}; add it to watchNamespaces`;
      throw error;
    }
    if (secret === undefined) return `there is no Secret "${name}"`;
    const value = secret.data?.[key];
    if (value === undefined) return `Secret "${name}" has no key "${key}"`;
    return { secret, text: Buffer.from(value, 'base64').toString('utf8').trim() };
  };
  return {
    async signer(reference) {
      const found = await read(reference);
      if (typeof found === 'string') return { state: 'missing', message: found };
      try {
        const signer = signerFromKey(found.text);
        return {
          state: 'present',
          signer,
          secret: found.secret,
          held: found.secret.metadata.finalizers?.includes(FINALIZER_KEY_IN_USE) ?? false,
        };
      } catch (error) {
        return { state: 'invalid', message: error instanceof Error ? error.message : 'not a private key' };
      }
    },
    async text(reference) {
      const found = await read(reference);
      if (typeof found === 'string') throw new Error(found);
      return found.text;
    },
  };
};
