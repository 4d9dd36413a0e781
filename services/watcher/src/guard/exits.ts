import type { ChannelState } from '@cupel/protocol/wire/projections';

/** Channels whose refund can be withdrawn within `withinSeconds`: what is not redeemed by then is lost to the payee. */
export const exitsNear = (channels: Iterable<ChannelState>, nowSeconds: number, withinSeconds: number): ChannelState[] =>
  [...channels].filter((c) => c.status === 'closing' && c.settled < c.deposit && c.closeAt - nowSeconds <= withinSeconds);
