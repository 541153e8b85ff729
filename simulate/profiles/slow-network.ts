import { formatDuration } from '../../shared/index.ts';
import { nothingHappens, type ProfileKind, percent } from './profile.ts';

/** Agents behind a bad line: late, in pieces, and slow to read. */
export const slowNetwork: ProfileKind = {
  name: 'slow-network',
  defaults: { share: 1, latencyMs: 200, jitterMs: 200 },
  describe: ({ share, latencyMs, jitterMs }) =>
    `${percent(share)} of the agents have a slow network: ${formatDuration(latencyMs)} and up to ${formatDuration(jitterMs)} more each way, frames in pieces`,
  begin: () => nothingHappens,
  network: ({ latencyMs, jitterMs }) => ({ latencyMs, jitterMs }),
};
