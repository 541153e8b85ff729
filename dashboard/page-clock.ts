import { HubClock } from '../shared/index.ts';

/** The time by which the page tells everything: the hub's, not this machine's, which may be wrong. */
export const pageClock = new HubClock();
