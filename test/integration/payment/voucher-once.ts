import { writeSync } from 'node:fs';

import { openLedger } from '@cupel/payment/io/ledger-sqlite';
import { acceptVoucher, registerChannel } from '@cupel/payment/ledger/channel';
import { baseUnits } from '@cupel/protocol/money';

import { channelId, descriptor } from './world.ts';

/** A child of payment-durability.test.ts: takes ten vouchers and says after each that it has. Arguments: path, FULL or OFF. */
const [path = '', synchronous] = process.argv.slice(2);
const ledger = openLedger({
  path,
  synchronous: synchronous === 'OFF' ? 'OFF' : 'FULL',
  nowMs: 0,
  onFatal: (error) => {
    throw error;
  },
});
const facts = { deposit: baseUnits(100n), settled: baseUnits(0n), closeAt: 0, status: 'open' } as const;
await ledger.submit((view) => registerChannel(view, { channelId, descriptor, consumerId: null, facts, nowMs: 0 }));
for (let amount = 1n; amount <= 10n; amount++) {
  writeSync(1, `REQUEST ${amount}\n`);
  const result = await ledger.submit((view) =>
    acceptVoucher(view, { channelId, maxClaimable: baseUnits(amount), signature: `0x${'11'.repeat(64)}`, consumerId: null }),
  );
  writeSync(1, `${result.ok ? 'REPLY' : 'REFUSED'} ${amount}\n`);
}
process.exit(0);
