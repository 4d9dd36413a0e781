import { Empty, headers } from 'nats';
import type { Msg } from 'nats';
import type { z } from 'zod';

import { BusFault } from './bus.ts';
import type { Kv, Schema } from './bus.ts';
import { encodeFitting, parseMessage } from './encoding.ts';
import { WRITTEN_FOR, bucketStream, isWrittenFor, keySubject } from './kv-bucket.ts';
import type { KvContext } from './kv-bucket.ts';
import { watchBucket } from './kv-watch.ts';
import { pause } from './pause.ts';
import { streamConfig, unavailable } from './streams.ts';

const API_TIMEOUT_MS = 3000;
const LIST_TIMEOUT_MS = 5000;
const OPERATION = 'KV-Operation';

export const openKv = <S extends Schema>(context: KvContext, bucket: string, schema: S): Kv<z.output<S>> => {
  const { nc, js, jsm, logger } = context;
  if (!/^[A-Za-z0-9_-]+$/.test(bucket)) throw new BusFault(`"${bucket}" is no bucket name: letters, digits, "_" and "-" are allowed`);

  const write = async (key: string, data: Uint8Array, operation?: 'DEL'): Promise<number> => {
    checkKey(key);
    const h = headers();
    h.set(WRITTEN_FOR, `${bucket}/${key}`);
    if (operation) h.set(OPERATION, operation);
    try {
      return (await js.publish(keySubject(bucket, key), data, { timeout: API_TIMEOUT_MS, headers: h })).seq;
    } catch (cause) {
      throw unavailable(`bucket ${bucket} did not take ${key}`, cause);
    }
  };

  const decode = (key: string, data: Uint8Array): z.output<S> | undefined => {
    const parsed = parseMessage(schema, data);
    if (parsed.ok) return parsed.value as z.output<S>;
    logger.error({ bucket, entry: key, problem: parsed.problem }, 'an entry does not fit its schema and is treated as absent');
    return undefined;
  };

  return {
    async get(key) {
      checkKey(key);
      let found: Msg;
      try {
        found = await nc.request(`$JS.API.DIRECT.GET.${bucketStream(bucket)}.${keySubject(bucket, key)}`, Empty, {
          timeout: API_TIMEOUT_MS,
        });
      } catch (cause) {
        throw unavailable(`bucket ${bucket} cannot be read`, cause);
      }
      const code = found.headers?.code ?? 0;
      if (code === 404) return undefined;
      if (code >= 300) throw unavailable(`bucket ${bucket} cannot be read`, new Error(found.headers?.description));
      if (!isWrittenFor(found.headers, bucket, key)) {
        logger.error({ bucket, entry: key }, 'an entry was not written by its writer and is treated as absent');
        return undefined;
      }
      return (found.headers?.get(OPERATION) ?? '') === '' ? decode(key, found.data) : undefined;
    },
    put: async (key, value) => write(key, encodeFitting(schema, value, `${bucket}/${key}`)),
    async delete(key) {
      await write(key, new Uint8Array(0), 'DEL');
    },
    async entries() {
      const found = new Map<string, z.output<S>>();
      if (!(await streamConfig(jsm, bucketStream(bucket)))) return found;
      const done = new AbortController();
      const watch = watchBucket(
        context,
        bucket,
        {},
        decode,
        (key, value) => void (value === undefined ? found.delete(key) : found.set(key, value)),
      );
      try {
        const late = pause(LIST_TIMEOUT_MS, done.signal).then(() => {
          if (done.signal.aborted) return;
          throw unavailable(
            `bucket ${bucket} cannot be listed`,
            new Error(`not complete within ${LIST_TIMEOUT_MS} ms; the user may lack the permission`),
          );
        });
        await Promise.race([watch.ready, late]);
      } finally {
        done.abort();
        await watch[Symbol.asyncDispose]();
      }
      return found;
    },
    watch: (onChange, options = {}) => watchBucket(context, bucket, options, decode, onChange),
  };
};

const checkKey = (key: string): void => {
  if (!/^[-/_=A-Za-z0-9]+(?:\.[-/_=A-Za-z0-9]+)*$/.test(key))
    throw new BusFault(`"${key}" is no key: tokens of letters, digits, "-", "_", "/", "=" with dots between`);
};
