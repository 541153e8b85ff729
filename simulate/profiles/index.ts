import { flapping } from './flapping.ts';
import { massReconnect } from './mass-reconnect.ts';
import type { ProfileKind, ProfileNumbers } from './profile.ts';
import { rackLoss } from './rack-loss.ts';
import { rollingRestart } from './rolling-restart.ts';
import { slowNetwork } from './slow-network.ts';
import { steady } from './steady.ts';

/** Every profile, by its name. */
export const PROFILES: ReadonlyMap<string, ProfileKind> = new Map(
  [steady, flapping, rollingRestart, rackLoss, massReconnect, slowNetwork].map((kind) => [kind.name, kind]),
);

const unused: ProfileNumbers = { everyMs: 0, awayMs: 0, share: 1, latencyMs: 0, jitterMs: 0 };

/** The numbers of a profile: those given, then its own defaults. */
export function numbersOf(kind: ProfileKind, given: Partial<ProfileNumbers>): ProfileNumbers {
  return { ...unused, ...kind.defaults, ...given };
}
