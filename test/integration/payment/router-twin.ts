import { BusFault, BusUnavailable } from '@cupel/bus/bus';
import type { Bus, CallResult, Schema } from '@cupel/bus/bus';
import type { Hex } from '@cupel/protocol/hex';
import { chargeValue, leaseValue, voucherValue } from '@cupel/protocol/wire/bus';
import type { ChargeValue, LeaseValue } from '@cupel/protocol/wire/bus';
import { paymentSubject } from '@cupel/protocol/wire/subjects';
import type { PaymentCall } from '@cupel/protocol/wire/subjects';
import type { z } from 'zod';

import { channelId, hex32, modelId, SCOPE, versionId, voucherOf } from './world.ts';

/** What an edge's router asks of payment; a call without an answer is `undefined`: its outcome is unknown. */
export const routerTwin = (bus: Bus) => {
  const call = async <S extends Schema>(name: PaymentCall, payload: object, schema: S): Promise<CallResult<z.output<S>> | undefined> => {
    try {
      return await bus.call(paymentSubject(SCOPE, name), payload, schema, { timeoutMs: 1500 });
    } catch (error) {
      if (error instanceof BusUnavailable || error instanceof BusFault) return undefined;
      throw error;
    }
  };
  const lease = (minimum: bigint, wanted: bigint): Promise<CallResult<LeaseValue> | undefined> =>
    call('lease', { version: 1, routerId: 'router-1', channelId, minimum, wanted }, leaseValue);
  const charge = (leaseId: string, requestId: Hex, price: bigint): Promise<CallResult<ChargeValue> | undefined> =>
    call(
      'charge',
      {
        version: 1,
        leaseId,
        requestId,
        price,
        publicName: 'digits',
        modelId,
        payload: { salt: hex32(7), input: '0x0102', output: '0x03' },
        draft: {
          versionId,
          channelId,
          inputHash: hex32(1),
          outputHash: hex32(2),
          params: { seed: 1 },
          inputUnits: 2n,
          outputUnits: 1n,
          outcome: 0n,
        },
      },
      chargeValue,
    );
  return {
    lease,
    charge,
    voucher: (amount: bigint) => call('voucher', voucherOf(amount), voucherValue),
    /** Asks until there is an answer. */
    async insist<T>(ask: () => Promise<CallResult<T> | undefined>): Promise<CallResult<T>> {
      for (;;) {
        const answer = await ask();
        if (answer) return answer;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
};
