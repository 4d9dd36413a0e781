import type { Logger } from '@cupel/protocol/log';
import { DiscardPolicy, RetentionPolicy, StorageType } from 'nats';
import type { JetStreamClient, JetStreamManager, MsgHdrs, NatsConnection } from 'nats';

import { streamConfig, unavailable } from './streams.ts';

export const bucketStream = (bucket: string): string => `KV_${bucket}`;
export const keySubject = (bucket: string, key: string): string => `$KV.${bucket}.${key}`;

/** Carries `<bucket>/<key>` on every entry and deletion that a writer makes. */
export const WRITTEN_FOR = 'Cupel-Key';

/**
 * Whether a writer wrote this message for this key. Who may ask JetStream anything may aim its reply at a key: an answer about a stream, or
 * a copy of the entry of another key. Such a message is no entry.
 */
export const isWrittenFor = (headers: MsgHdrs | undefined, bucket: string, key: string): boolean =>
  headers?.get(WRITTEN_FOR) === `${bucket}/${key}`;

export interface KvContext {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly logger: Logger;
  /** Where the user's replies go. */
  readonly inboxPrefix: string;
  /** Increases at every (re)connect. */
  readonly epoch: () => number;
}

/** The same stream that `nats kv add` makes: history 1, file storage, direct gets. */
export const ensureBucket = async (jsm: JetStreamManager, bucket: string): Promise<boolean> => {
  if (await streamConfig(jsm, bucketStream(bucket))) return false;
  try {
    await jsm.streams.add({
      name: bucketStream(bucket),
      subjects: [keySubject(bucket, '>')],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_msgs_per_subject: 1,
      num_replicas: 1,
      allow_rollup_hdrs: true,
      deny_delete: true,
      allow_direct: true,
    });
    return true;
  } catch (cause) {
    throw unavailable(`bucket ${bucket} cannot be made`, cause);
  }
};
