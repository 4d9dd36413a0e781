/** Why no answer came, as `reason` of an error with status 0. */
export type NoAnswer = 'Unreachable' | 'Timeout' | 'Aborted' | 'Silent' | 'Malformed';

/** A refusal of the API server (metav1.Status), or the lack of an answer (status 0, reason one of `NoAnswer`). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** metav1.StatusReason such as `NotFound`, `Conflict`, `Expired`, or one of `NoAnswer`. */
  readonly reason: string;
  /** How long the server asks to wait; present for 429 and some 5xx. */
  readonly retryAfterMs: number | undefined;
  /** True when the request certainly did not reach the server's logic: no connection, or 429. */
  readonly notProcessed: boolean;

  constructor(facts: {
    readonly status: number;
    readonly reason: string;
    readonly message: string;
    readonly retryAfterMs?: number | undefined;
    readonly notProcessed?: boolean;
    readonly cause?: unknown;
  }) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.status = facts.status;
    this.reason = facts.reason;
    this.retryAfterMs = facts.retryAfterMs;
    this.notProcessed = facts.notProcessed ?? false;
  }
}

/**
 * Reads a metav1.Status from an error answer; a body that is none (a proxy's page) is quoted, shortened.
 * @param request what was asked, for the message: `GET /api/v1/pods`.
 * @param retryAfter the Retry-After header, in seconds.
 */
export function errorFromAnswer(request: string, status: number, text: string, retryAfter?: string): ApiError {
  const body = parseStatus(text);
  const seconds = retryAfter === undefined ? Number.NaN : Number(retryAfter);
  const retryAfterSeconds = Number.isFinite(seconds) ? seconds : body.retryAfterSeconds;
  return new ApiError({
    status,
    reason: body.reason ?? reasonOfStatus(status),
    message: `${request}: ${status} ${body.message ?? text.slice(0, 200)}`,
    retryAfterMs: retryAfterSeconds === undefined ? undefined : Math.max(0, retryAfterSeconds * 1000),
    notProcessed: status === 429,
  });
}

/** Reads the object of a watch's ERROR event, which is a metav1.Status. */
export function errorFromStatus(request: string, status: unknown): ApiError {
  const code = typeof status === 'object' && status !== null && 'code' in status && typeof status.code === 'number' ? status.code : 500;
  return errorFromAnswer(request, code, JSON.stringify(status) ?? '');
}

interface StatusBody {
  readonly reason?: string;
  readonly message?: string;
  readonly retryAfterSeconds?: number;
}

function parseStatus(text: string): StatusBody {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return {};
  }
  if (typeof body !== 'object' || body === null) return {};
  const details = 'details' in body && typeof body.details === 'object' && body.details !== null ? body.details : {};
  return {
    ...('reason' in body && typeof body.reason === 'string' && body.reason !== '' ? { reason: body.reason } : {}),
    ...('message' in body && typeof body.message === 'string' ? { message: body.message } : {}),
    ...('retryAfterSeconds' in details && typeof details.retryAfterSeconds === 'number'
      ? { retryAfterSeconds: details.retryAfterSeconds }
      : {}),
  };
}

function reasonOfStatus(status: number): string {
  const reasons: Readonly<Record<number, string>> = {
    400: 'BadRequest',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'NotFound',
    409: 'Conflict',
    410: 'Expired',
    422: 'Invalid',
    429: 'TooManyRequests',
    503: 'ServiceUnavailable',
    504: 'Timeout',
  };
  return reasons[status] ?? 'Unknown';
}

const hasStatus = (error: unknown, status: number): error is ApiError => error instanceof ApiError && error.status === status;

export const isNotFound = (error: unknown): boolean => hasStatus(error, 404);
export const isForbidden = (error: unknown): boolean => hasStatus(error, 403);
export const isInvalid = (error: unknown): boolean => hasStatus(error, 422);
export const isAlreadyExists = (error: unknown): boolean => hasStatus(error, 409) && error.reason === 'AlreadyExists';
/** Someone else changed the object first: read it again. */
export const isConflict = (error: unknown): boolean => hasStatus(error, 409) && error.reason !== 'AlreadyExists';
/** The resourceVersion is too old: list again. */
export const isGone = (error: unknown): boolean => hasStatus(error, 410);
