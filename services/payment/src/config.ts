import { readConfig } from '@cupel/runtime/config';
import { commonConfig } from '@cupel/protocol/wire/config';
import { address, baseAmount } from '@cupel/protocol/wire/scalars';
import { z } from 'zod';

const seconds = z.number().int().min(1);
const file = z.string().min(1);

const settle = z
  .object({
    /** Unredeemed base units from which a redeem is sent. */
    thresholdBaseUnits: baseAmount,
    /** Before a closing channel's end. */
    safetySeconds: seconds,
    /** The redeemer's key: the payee's own, or one that the payee named by setRedeemer. */
    keyFile: file,
  })
  .strict();

const gateway = z
  .object({
    /** Owns the channels to providers and is the beneficiary of their receipts. */
    payerKeyFile: file,
    providerDepositBaseUnits: baseAmount.refine((n) => n > 0n, 'must be above 0'),
    /** Most that is signed to a provider beyond its receipts. */
    maxPrepaidBaseUnits: baseAmount,
    headroomBaseUnits: baseAmount,
    withdrawDelaySeconds: seconds,
    /** A channel to a provider that was not used for so long is given up, and its deposit taken back. */
    idleExitSeconds: seconds.default(604_800),
  })
  .strict();

const edge = z
  .object({
    receiptKeyFile: file,
    /** JSON array of SignerGrants. */
    grantsFile: file,
    claims: z.object({ everySeconds: seconds, maxCount: z.number().int().min(1).max(100_000) }).strict(),
  })
  .strict();

const rest = {
  ...commonConfig,
  /** `gateway.<name>` or `edge.<namespace>.<name>`. */
  scope: z.string().regex(/^(gateway\.[a-z0-9-]+|edge\.[a-z0-9-]+\.[a-z0-9-]+)$/, 'must be gateway.<name> or edge.<namespace>.<name>'),
  managementPort: z.number().int().min(0).max(65535).default(8081),
  ledgerPath: file,
  adminTokenFile: z
    .string({ error: 'is required: the management API has no default credential; mount the Secret with the key "token" and name its path' })
    .min(1),
  /** 0x and 64 hex digits. */
  payloadKeyFile: file,
  payloadTtlSeconds: seconds,
  /** Most that is served per channel while the chain cannot be seen. */
  exposureBaseUnits: baseAmount,
  minWithdrawDelaySeconds: z.number().int().min(0).default(86_400),
  settle,
  /** Receives what is earned: the provider's payout, or the gateway's. */
  payee: address,
} as const;

/** docs/specs/gateway-edge.md. One service, two roles. */
export const paymentConfig = z.discriminatedUnion('role', [
  z.object({ role: z.literal('gateway'), ...rest, gateway }).strict(),
  z.object({ role: z.literal('edge'), ...rest, edge }).strict(),
]);

export type PaymentConfig = z.output<typeof paymentConfig>;

export const loadConfig = (path = process.env['CUPEL_CONFIG'] ?? ''): PaymentConfig => readConfig(path, paymentConfig);
