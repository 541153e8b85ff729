import type { HeartbeatTiming } from '../shared/index.ts';
import type { DashboardFindings } from './dashboard-judge.ts';
import type { Simulation } from './simulation.ts';
import type { Latencies } from './tally.ts';

/** What came of a run. Times are in milliseconds. */
export interface Summary {
  profile: string;
  hubs: readonly string[];
  agents: number;
  prefix: string;
  seed: number;
  elapsedMs: number;
  /** Ended by a signal before its time. */
  interrupted: boolean;
  /** The timing that the hub gave the first agent. */
  heartbeat: HeartbeatTiming | null;
  /** When the profile was over. */
  registeredAtEnd: number;
  removedAtEnd: number;
  /** Whose `deregister` was not confirmed, where it was asked for. */
  notDeregistered: number;
  registrations: number;
  reconnects: number;
  /** From the first packet to `registered`. */
  registering: Latencies;
  /** From being free to return to `registered`. */
  returning: Latencies;
  pong: Latencies;
  beats: { sent: number; withStats: number; answered: number; missed: number };
  /** Sessions that the profile ended. */
  cuts: number;
  /** Sessions that ended otherwise, by close code or cause; attempts that were turned away or failed. */
  drops: Record<string, number>;
  refusals: Record<string, number>;
  failures: Record<string, number>;
  /** `error` messages of the hub, by code. */
  errors: Record<string, number>;
  disruptions: Array<{
    what: string;
    agents: number;
    /** Until 99 % and all of them were registered again, from when they were free to return; null: never. */
    nearlyAllMs: number | null;
    allMs: number | null;
  }>;
  /** Disruptions that are not listed. */
  moreDisruptions: number;
  dashboard: DashboardFindings | null;
  /** How much later than it should the simulator itself came to its work. */
  late: Latencies;
  /** What went wrong, a sentence each. Empty: all is well. */
  wrong: string[];
}

const rounded = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms));

export function summarize(simulation: Simulation, dashboard?: DashboardFindings): Summary {
  const { options, tally, disruptions, atEnd } = simulation;
  const summary: Summary = {
    ...{ profile: options.profile.name, hubs: options.hubUrls, agents: options.agents },
    ...{ prefix: options.prefix, seed: options.seed },
    elapsedMs: Math.round(simulation.elapsedMs),
    interrupted: simulation.interrupted,
    heartbeat: simulation.agents[0]?.timing ?? null,
    registeredAtEnd: atEnd.registered,
    removedAtEnd: atEnd.removed,
    notDeregistered: simulation.notDeregistered,
    ...{ registrations: tally.registrations, reconnects: tally.reconnects },
    registering: tally.registering.read(),
    returning: tally.returning.read(),
    pong: tally.pong.read(),
    beats: { sent: tally.pings, withStats: tally.stats, answered: tally.pongs, missed: tally.missed },
    ...{ cuts: tally.cuts, drops: tally.drops.toJSON(), refusals: tally.refusals.toJSON() },
    ...{ failures: tally.failures.toJSON(), errors: tally.errors.toJSON() },
    disruptions: disruptions.kept.map(({ what, hit, nearlyAllMs, allMs }) => ({
      ...{ what, agents: hit, nearlyAllMs: rounded(nearlyAllMs), allMs: rounded(allMs) },
    })),
    moreDisruptions: disruptions.more,
    dashboard: dashboard ?? null,
    late: simulation.late,
    wrong: [],
  };
  return { ...summary, wrong: whatWentWrong(summary) };
}

/** Turned away for now: the way in which a hub defends itself. */
const passing: ReadonlySet<string> = new Set([
  ...['HTTP 429', 'HTTP 503', '1013', 'store_away', 'contended', 'too_many_pending'],
]);
/** What a close code that should not come says to an operator. */
const meanings: Readonly<Record<string, string>> = {
  '4404': 'somebody removed these nodes',
  '4409': 'another agent has the same id: is this prefix in use twice?',
  '4400': 'the hub or something between does not take the frames as they are',
  '1006': 'cut without a Close frame by the hub or by something between',
};

const count = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;
const listed = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(([what, n]) => `${what} (${n})`)
    .join(', ');

function without(counts: Record<string, number>, fine: ReadonlySet<string>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([what]) => !fine.has(what)));
}

/** The verdict: everything that should not have happened, a sentence each. */
export function whatWentWrong(summary: Omit<Summary, 'wrong'>): string[] {
  const { agents, registeredAtEnd, removedAtEnd, notDeregistered, beats, interrupted, dashboard } = summary;
  const wrong: string[] = [];
  const absent = agents - registeredAtEnd - removedAtEnd;
  if (absent > 0 && !interrupted)
    wrong.push(`${count(absent, 'agent is', 'agents are')} not registered at the end`);
  // A hub that restarts says so (1012), and its agents come back.
  for (const [cause, n] of Object.entries(without(summary.drops, new Set(['1012'])))) {
    const meaning = meanings[cause];
    const lost = count(n, 'session was', 'sessions were');
    wrong.push(`${lost} lost with ${cause}${meaning === undefined ? '' : `: ${meaning}`}`);
  }
  const refusals = without(summary.refusals, passing);
  if (Object.keys(refusals).length > 0) wrong.push(`attempts were refused: ${listed(refusals)}`);
  if (Object.keys(summary.failures).length > 0)
    wrong.push(`attempts to connect failed: ${listed(summary.failures)}`);
  if (beats.missed > 0)
    wrong.push(`${count(beats.missed, 'ping was', 'pings were')} not answered within half an interval`);
  if (Object.keys(summary.errors).length > 0)
    wrong.push(`the hub answered with errors: ${listed(summary.errors)}`);
  if (notDeregistered > 0) wrong.push(`${count(notDeregistered, 'node was', 'nodes were')} not removed`);
  if (dashboard && dashboard.falseOffline > 0)
    wrong.push(
      `${count(dashboard.falseOffline, 'node was', 'nodes were')} called offline though its agent beat`,
    );
  return wrong;
}
