import type { KvBucket } from '@cupel/protocol/wire/projections';
import {
  ALL_CLAIMS_POST,
  claimsPostSubject,
  enginesKey,
  paymentSubject,
  probeSubject,
  receiptsStream,
  receiptsSubject,
} from '@cupel/protocol/wire/subjects';
import type { PaymentCall, Scope } from '@cupel/protocol/wire/subjects';

import { inboxPrefix } from './inbox.ts';
import { bucketStream, keySubject } from './kv-bucket.ts';

export const BUS_ROLES = [
  'operator',
  'watcher',
  'edge-router',
  'edge-payment',
  'defender',
  'gateway-router',
  'gateway-payment',
  'verifier',
] as const;
export type BusRole = (typeof BUS_ROLES)[number];

export interface BusUser {
  readonly user: string;
  readonly role: BusRole;
  /** `gateway.<name>` or `edge.<namespace>.<name>`; absent for operator and watcher. */
  readonly scope?: Scope;
}

/** Subjects by NATS's patterns; everything else is denied. Replies to requests that arrive are allowed besides. */
export interface BusPermissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const PROJECTIONS = ['registry', 'channels', 'stakes', 'claims', 'disputes', 'head'] as const satisfies readonly KvBucket[];

/** What a router of either role asks. Payloads and consents are not for it: it meets the internet. */
const ROUTER_CALLS = ['lease', 'release', 'voucher', 'charge', 'receipt'] as const satisfies readonly PaymentCall[];

const join = (...parts: readonly BusPermissions[]): BusPermissions => ({
  publish: [...new Set(parts.flatMap((p) => p.publish))],
  subscribe: [...new Set(parts.flatMap((p) => p.subscribe))],
});

const calls = (...subjects: readonly string[]): BusPermissions => ({ publish: subjects, subscribe: [] });
const serves = (...subjects: readonly string[]): BusPermissions => ({ publish: [], subscribe: subjects });

/** Watch, get and list. The server holds a consumer's filter to the one in the subject, so that one key can be given without the others. */
const reads = (bucket: KvBucket, key = '>'): BusPermissions => {
  const stream = bucketStream(bucket);
  const subject = keySubject(bucket, key);
  return calls(
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.*.${subject}`,
    `$JS.API.DIRECT.GET.${stream}.${subject}`,
    `$JS.FC.${stream}.>`,
  );
};

const writes = (bucket: KvBucket): BusPermissions => {
  const stream = bucketStream(bucket);
  return calls(`$JS.API.STREAM.INFO.${stream}`, `$JS.API.STREAM.CREATE.${stream}`, keySubject(bucket, '>'));
};

const looksAtStream = (scope: Scope): BusPermissions => calls(`$JS.API.STREAM.INFO.${receiptsStream(scope)}`);

/**
 * The name of a stream is in the subject, but not what it takes: whoever may make one may have everything that is said in the account. A
 * gateway's account has one party; the streams of edges, of many tenants, are made by the operator.
 */
const makesStream = (stream: string): BusPermissions =>
  calls(`$JS.API.STREAM.INFO.${stream}`, `$JS.API.STREAM.CREATE.${stream}`, `$JS.API.STREAM.UPDATE.${stream}`);

const consumes = (scope: Scope): BusPermissions => {
  const stream = receiptsStream(scope);
  return join(
    looksAtStream(scope),
    calls(
      `$JS.API.CONSUMER.CREATE.${stream}.*`,
      `$JS.API.CONSUMER.INFO.${stream}.*`,
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
      `$JS.ACK.${stream}.>`,
    ),
  );
};

const payment = (scope: Scope, ...which: readonly PaymentCall[]): BusPermissions =>
  calls(...which.map((call) => paymentSubject(scope, call)));
const readsAll = (...buckets: readonly KvBucket[]): BusPermissions => join(...buckets.map((bucket) => reads(bucket)));

/** `edge.<namespace>.<name>` → the key of its list of engines. */
const ownEngines = (scope: Scope): string => {
  const [kind, namespace, name] = scope.split('.');
  if (kind !== 'edge' || !namespace || !name) throw new Error(`"${scope}" is no scope of an edge; write edge.<namespace>.<name>`);
  return enginesKey(namespace, name);
};

/** What a user needs for its role, and nothing else. Throws when a role that has a scope is given none. */
export const permissionsOf = ({ user, role, scope }: BusUser): BusPermissions => {
  const inbox = serves(`${inboxPrefix(user)}.>`);
  if (role === 'operator') {
    return join(
      inbox,
      serves(ALL_CLAIMS_POST),
      calls(probeSubject('edge.*.*')),
      makesStream('*'),
      writes('engines'),
      reads('engines'),
      readsAll(...PROJECTIONS, 'reputation'),
    );
  }
  if (role === 'watcher') return join(inbox, ...PROJECTIONS.map(writes), readsAll(...PROJECTIONS));
  if (scope === undefined || !/^(?:gateway\.[A-Za-z0-9-]+|edge\.[A-Za-z0-9-]+\.[A-Za-z0-9-]+)$/.test(scope)) {
    throw new Error(`user "${user}" with role ${role} needs a scope: gateway.<name> or edge.<namespace>.<name>`);
  }
  const allPayment = `cupel.v1.${scope}.payment.*`;
  switch (role) {
    case 'edge-router':
      return join(
        inbox,
        payment(scope, ...ROUTER_CALLS, 'session'),
        serves(probeSubject(scope)),
        reads('engines', ownEngines(scope)),
        readsAll(...PROJECTIONS),
      );
    case 'edge-payment':
      return join(
        inbox,
        serves(allPayment),
        calls(claimsPostSubject(scope), receiptsSubject(scope)),
        looksAtStream(scope),
        reads('engines', ownEngines(scope)),
        readsAll(...PROJECTIONS),
      );
    case 'defender':
      return join(inbox, payment(scope, 'payload', 'receipt'), consumes(scope), readsAll(...PROJECTIONS));
    case 'gateway-router':
      return join(inbox, payment(scope, ...ROUTER_CALLS, 'authenticate', 'outgoing'), readsAll(...PROJECTIONS, 'reputation'));
    case 'gateway-payment':
      return join(
        inbox,
        serves(allPayment),
        calls(receiptsSubject(scope)),
        makesStream(receiptsStream(scope)),
        readsAll(...PROJECTIONS, 'reputation'),
      );
    case 'verifier':
      return join(
        inbox,
        payment(scope, 'consent', 'payload', 'receipt'),
        consumes(scope),
        writes('reputation'),
        readsAll(...PROJECTIONS, 'reputation'),
      );
  }
};
