import type { Refusal } from '@cupel/protocol/reasons';
import type { z } from 'zod';

/** A schema of `@cupel/protocol/wire`. What is written is the schema's output: bigints go out as decimal strings and come back as bigints. */
export type Schema = z.ZodType;

/** Nobody answered in time, nobody serves the subject, or the server cannot be reached. The outcome of a call is then unknown. */
export class BusUnavailable extends Error {
  override readonly name = 'BusUnavailable';
}

/** The other side sent what its schema does not allow, or its handler threw (a refusal `internal`). Not a refusal: a fault. */
export class BusFault extends Error {
  override readonly name = 'BusFault';
}

export type CallResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

export interface CallOptions {
  /** Default 2000. */
  readonly timeoutMs?: number;
}

/** Returns the value, or a {@link Refusal} (an object with a known `reason` and a `message`). A throw becomes a BusFault at the caller. */
export type Handler<Request, Value> = (request: Request, subject: string) => Promise<Value | Refusal> | Value | Refusal;

export interface ServeOptions {
  /** Servers with the same queue share the requests. */
  readonly queue?: string;
}

export interface PublishOptions {
  /** Identity of the message: the stream drops a second one within its duplicate window. */
  readonly msgId?: string;
}

export interface PublishAck {
  readonly sequence: number;
  readonly duplicate: boolean;
}

export interface StreamOptions {
  /** No dots, spaces or wildcards: `receiptsStream(scope)`. */
  readonly name: string;
  readonly subjects: readonly string[];
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

export interface ConsumedMessage {
  readonly subject: string;
  /** 1 for the first delivery. */
  readonly delivery: number;
  readonly sequence: number;
}

export interface ConsumeOptions<S extends Schema> {
  readonly stream: StreamOptions;
  /** Name that survives restarts: it continues where it stopped. */
  readonly durable: string;
  readonly schema: S;
  /** Acknowledged when it returns; delivered again after a pause when it throws. One at a time, in order of delivery. */
  readonly handler: (message: z.output<S>, about: ConsumedMessage) => Promise<void>;
  /** Deliveries before a message is given up (terminated, logged, counted); default 5. */
  readonly maxDeliver?: number;
  /** Pauses before the second, third, … delivery; the last one repeats. Default 1 s, 5 s, 30 s. */
  readonly backoffMs?: readonly number[];
}

/** One change of a key; `undefined`: it is gone. */
export type KvChange<T> = (key: string, value: T | undefined) => void;

export interface WatchOptions {
  /** One key or a pattern with `*` and `>`; default all. */
  readonly key?: string;
}

export interface Watch extends AsyncDisposable {
  /** Resolves when every value that stood in the bucket at first has been reported; waits for the bucket to exist. */
  readonly ready: Promise<void>;
}

/** A bucket of the key-value store; history 1. Entries that do not fit the schema are logged and treated as absent. */
export interface Kv<T> {
  get(key: string): Promise<T | undefined>;
  /** Resolves when the server has it; returns the revision. Creates nothing but the key: see `Bus.ensureKv`. */
  put(key: string, value: T): Promise<number>;
  delete(key: string): Promise<void>;
  /** All of it; empty when the bucket does not exist. */
  entries(): Promise<Map<string, T>>;
  /**
   * Reports every current value, then every change, in order, for ever: also when the connection is lost, and when the bucket is deleted and
   * made anew (keys that stay away for some seconds are then reported as gone). A throw of `onChange` is logged.
   */
  watch(onChange: KvChange<T>, options?: WatchOptions): Watch;
}

/** The NATS account of one party. Reconnects for ever; disposing drains. */
export interface Bus extends AsyncDisposable {
  /** Request and reply. Throws {@link BusUnavailable} or {@link BusFault}; a refusal is a value. `payload` must carry `version: 1`. */
  call<S extends Schema>(subject: string, payload: object, value: S, options?: CallOptions): Promise<CallResult<z.output<S>>>;
  /**
   * A request that does not fit `request` is refused with `invalid_field`; one whose reply would not go to an inbox is left unheard. Resolves
   * when the server knows of it.
   */
  serve<S extends Schema>(
    subject: string,
    request: S,
    handler: Handler<z.output<S>, object>,
    options?: ServeOptions,
  ): Promise<AsyncDisposable>;
  /** To a JetStream stream, with its acknowledgement. Throws {@link BusUnavailable} when no stream has taken it. */
  publish(subject: string, data: object, options?: PublishOptions): Promise<PublishAck>;
  /**
   * Creates or updates a stream and reads its configuration back; throws {@link BusFault} when the server did not apply it. A user that may
   * not make it gets the stream as its maker made it, and waits up to 30 s for it; then {@link BusUnavailable}.
   */
  ensureStream(options: StreamOptions): Promise<void>;
  /** Reads a stream for ever; makes stream and consumer anew when they are deleted. */
  consume<S extends Schema>(options: ConsumeOptions<S>): Promise<AsyncDisposable>;
  kv<S extends Schema>(bucket: string, schema: S): Kv<z.output<S>>;
  /** Creates the bucket unless it exists; true: it was made now, and is empty. Only its one writer may. */
  ensureKv(bucket: string): Promise<boolean>;
  /** For a health check: undefined, or what is wrong. */
  status(): string | undefined;
}
