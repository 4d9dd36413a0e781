import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import type { ReceiptEvent } from '@cupel/protocol/wire/bus';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

import type { VerifierState } from '../state.ts';

export interface HoldDeps {
  readonly state: VerifierState;
  readonly digestOf: (envelope: ReceiptEnvelope) => Hex;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly onHeld: (event: ReceiptEvent) => void;
  readonly onOdd: () => void;
}

/** Takes receipts from the stream: each request once, on disk before it is acknowledged. */
export const createHolder =
  ({ state, digestOf, nowMs, logger, onHeld, onOdd }: HoldDeps) =>
  async (event: ReceiptEvent): Promise<void> => {
    if (digestOf(event.envelope) !== event.receiptDigest) {
      onOdd();
      logger.warn(
        { requestId: event.envelope.receipt.requestId },
        'a receipt of the stream does not hash to its digest and is left out; check chain id and contracts',
      );
      return;
    }
    if (state.hold(event, nowMs())) onHeld(event);
  };
