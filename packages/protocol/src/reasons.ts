/**
 * The one list of reason codes. A refusal is data: the same code is an OpenAI error body's `code`, a condition's reason (in PascalCase) and a
 * metric label. A fault is thrown with `cause`.
 */
export const REASONS = {
  invalid_api_key: { status: 401, type: 'invalid_request_error', remedy: 'send a valid key as "Authorization: Bearer <key>"' },
  missing_credentials: {
    status: 401,
    type: 'invalid_request_error',
    remedy: 'send "Authorization: Bearer <key>", or x-cupel-channel with x-cupel-voucher',
  },
  forbidden: { status: 403, type: 'invalid_request_error', remedy: 'use a credential that owns this object' },
  model_not_found: { status: 404, type: 'invalid_request_error', remedy: 'choose a model that GET /v1/models lists' },
  not_found: { status: 404, type: 'invalid_request_error', remedy: 'check the path' },
  method_not_allowed: { status: 405, type: 'invalid_request_error', remedy: 'use the method that the reference names' },
  malformed_json: { status: 400, type: 'invalid_request_error', remedy: 'send a JSON object' },
  invalid_field: { status: 400, type: 'invalid_request_error', remedy: 'correct the field that the message names' },
  body_too_large: { status: 413, type: 'invalid_request_error', remedy: 'send a smaller body' },
  wrong_protocol: { status: 400, type: 'invalid_request_error', remedy: 'use the endpoint of this kind of model' },
  insufficient_voucher: { status: 402, type: 'insufficient_quota', remedy: 'sign a voucher with at least the amount named' },
  no_channel: { status: 402, type: 'insufficient_quota', remedy: 'open a channel and register it with the management API' },
  channel_closing: { status: 402, type: 'insufficient_quota', remedy: 'open a new channel' },
  channel_not_final: { status: 402, type: 'insufficient_quota', remedy: 'wait until the opening of the channel is final' },
  exposure_reached: { status: 402, type: 'insufficient_quota', remedy: 'wait until the chain can be reached again' },
  withdraw_delay_too_short: { status: 400, type: 'invalid_request_error', remedy: 'open a channel with a longer withdrawDelay' },
  voucher_bad_signature: { status: 400, type: 'invalid_request_error', remedy: "sign with the channel's signer" },
  voucher_wrong_chain: { status: 400, type: 'invalid_request_error', remedy: 'sign under the domain of this chain and contract' },
  voucher_not_higher: { status: 409, type: 'invalid_request_error', remedy: 'a voucher must be higher than the last one' },
  voucher_beyond_deposit: { status: 400, type: 'invalid_request_error', remedy: 'top the channel up first' },
  request_replayed: { status: 409, type: 'invalid_request_error', remedy: 'use a fresh request id' },
  session_unknown: { status: 401, type: 'invalid_request_error', remedy: 'agree on a session first' },
  session_expired: { status: 401, type: 'invalid_request_error', remedy: 'agree on a new session' },
  session_bad_mac: { status: 401, type: 'invalid_request_error', remedy: 'compute the MAC over the bytes that are sent' },
  request_stale: { status: 401, type: 'invalid_request_error', remedy: 'set the clock: the timestamp is off by more than 120 s' },
  version_unknown: { status: 404, type: 'invalid_request_error', remedy: 'use the version that the registry names' },
  too_many_requests: { status: 429, type: 'rate_limit_error', remedy: 'retry after the time in Retry-After' },
  no_provider: { status: 503, type: 'server_error', remedy: 'retry later; no provider of this model is healthy' },
  upstream_failed: { status: 502, type: 'server_error', remedy: 'retry; nothing was charged' },
  upstream_timeout: { status: 504, type: 'server_error', remedy: 'retry; nothing was charged' },
  stream_cut: { status: 502, type: 'server_error', remedy: 'retry; only what was delivered is charged' },
  receipt_missing: { status: 502, type: 'server_error', remedy: 'retry; nothing was charged' },
  receipt_unfit: { status: 502, type: 'server_error', remedy: 'retry; nothing was charged' },
  engine_failed: { status: 502, type: 'server_error', remedy: 'retry; nothing was charged' },
  ledger_unavailable: { status: 503, type: 'server_error', remedy: 'retry later; the ledger cannot be reached' },
  draining: { status: 503, type: 'server_error', remedy: 'retry against another replica' },
  internal: { status: 500, type: 'server_error', remedy: 'retry; quote the request id if it goes on' },
} as const satisfies Record<string, { status: number; type: string; remedy: string }>;

export type Reason = keyof typeof REASONS;

export const isReason = (text: string): text is Reason => Object.hasOwn(REASONS, text);

/** "No" as a value: what was refused, why, and for whom it matters the missing amount in base units. */
export interface Refusal {
  readonly reason: Reason;
  readonly message: string;
  readonly param?: string;
  /** Base units that a voucher must reach. */
  readonly required?: bigint;
  /** Base units that are missing. */
  readonly missing?: bigint;
}

export const refuse = (reason: Reason, message: string, more: Omit<Refusal, 'reason' | 'message'> = {}): Refusal => ({
  reason,
  message: `${message}; ${REASONS[reason].remedy}`,
  ...more,
});

/** OpenAI's error body, to the letter. */
export interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string };
}

export const errorBody = (refusal: Refusal): ErrorBody => ({
  error: { message: refusal.message, type: REASONS[refusal.reason].type, param: refusal.param ?? null, code: refusal.reason },
});
