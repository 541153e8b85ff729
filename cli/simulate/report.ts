import { formatDuration } from '../../shared/index.ts';
import type { Progress, SimulationOptions } from '../../simulate/simulation.ts';
import type { Summary } from '../../simulate/summary.ts';
import type { Latencies } from '../../simulate/tally.ts';

/** Disruptions that the text lists; the JSON has all. */
const MOST_LISTED = 20;

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
const latency = ({ count, p50, p99, max }: Latencies): string =>
  count === 0 ? 'none' : `p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`;
const counted = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(([what, n]) => `${what} ${n}`)
    .join(', ');
const total = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((sum, n) => sum + n, 0);

/** What the command is going to do, before it does it. */
export function planText(options: SimulationOptions): string {
  const { agents, prefix, racks, hubUrls, profile, numbers, connectsPerSecond, durationMs, seed } = options;
  const ids = agents === 1 ? `${prefix}-1` : `${prefix}-1 to ${prefix}-${agents}`;
  return [
    `Simulating ${agents} ${agents === 1 ? 'agent' : 'agents'}, ${ids}, in ${racks} ${racks === 1 ? 'rack' : 'racks'}, at ${hubUrls.join(', ')}.`,
    `They connect at ${connectsPerSecond} a second; then, for ${formatDuration(durationMs)}, ${profile.describe(numbers)} (${profile.name}, seed ${seed}).`,
    '',
  ].join('\n');
}

/** One line of what is going on. */
export function progressText(progress: Progress): string {
  const { phase, elapsedMs, agents, registered, beatsPerSecond, pong, reconnects, missed } = progress;
  const parts = [
    `${String(Math.round(elapsedMs / 1_000)).padStart(4)} s`,
    phase.padEnd(10),
    `${registered}/${agents} registered`,
    `${beatsPerSecond} beats/s`,
    `pong p50 ${pong.p50} p99 ${pong.p99} ms`,
    `${reconnects} reconnects`,
  ];
  if (total(progress.refusals) > 0) parts.push(`refused: ${counted(progress.refusals)}`);
  if (total(progress.drops) > 0) parts.push(`lost: ${counted(progress.drops)}`);
  if (total(progress.failures) > 0) parts.push(`failed: ${counted(progress.failures)}`);
  if (missed > 0) parts.push(`${missed} pongs missing`);
  return parts.join('  ');
}

/** The summary for people. */
export function summaryText(summary: Summary): string {
  const { agents, prefix, profile, seed, beats, heartbeat, dashboard, late, interrupted } = summary;
  const timing = heartbeat
    ? `, heartbeats every ${formatDuration(heartbeat.intervalMs)}, offline after ${formatDuration(heartbeat.timeoutMs)}`
    : '';
  const rows: Array<[string, string]> = [
    ['registered at the end', `${summary.registeredAtEnd} of ${agents}`],
    ['registrations', `${summary.registrations}, ${summary.reconnects} of them reconnects`],
    ['connect to registered', latency(summary.registering)],
    ['free to registered again', latency(summary.returning)],
    [
      'heartbeats',
      `${beats.sent} sent (${beats.withStats} with stats), ${beats.answered} answered, ${beats.missed} late or missing`,
    ],
    ['ping to pong', latency(summary.pong)],
    ['sessions cut by the profile', String(summary.cuts)],
    ['sessions lost otherwise', counted(summary.drops) || 'none'],
    ['attempts refused', counted(summary.refusals) || 'none'],
    ['attempts failed', counted(summary.failures) || 'none'],
  ];
  if (dashboard) {
    const { changes, falseOffline, unreachable, resyncs } = dashboard;
    rows.push(
      ['dashboard', `${changes} changes, ${resyncs} resyncs, ${falseOffline} nodes falsely offline`],
      ['RST to unreachable', latency(unreachable)],
    );
  }
  rows.push(['this process was late by', latency(late)]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    `${profile} with ${agents} agents (${prefix}-…), seed ${seed}, ${seconds(summary.elapsedMs)}${timing}${interrupted ? ', ended by a signal' : ''}`,
    '',
    ...rows.map(([name, value]) => `${name.padEnd(width)}   ${value}`),
    ...disruptionLines(summary),
    '',
    ...verdictLines(summary),
    '',
  ].join('\n');
}

function disruptionLines({ disruptions, moreDisruptions }: Summary): string[] {
  if (disruptions.length === 0) return [];
  const listed = disruptions.slice(0, MOST_LISTED);
  const width = Math.max(...listed.map(({ what }) => what.length));
  const back = (ms: number | null): string => (ms === null ? 'never' : seconds(ms)).padStart(10);
  const more = disruptions.length - listed.length + moreDisruptions;
  return [
    '',
    `${'disruption'.padEnd(width)}   agents   99 % back    all back`,
    ...listed.map(
      ({ what, agents, nearlyAllMs, allMs }) =>
        `${what.padEnd(width)}   ${String(agents).padStart(6)}  ${back(nearlyAllMs)}  ${back(allMs)}`,
    ),
    ...(more > 0 ? [`and ${more} more`] : []),
  ];
}

/** From here on, what was measured may be the simulator's own slowness. */
const LATE_MS = 250;

function verdictLines({ wrong, late }: Summary): string[] {
  const own =
    late.max > LATE_MS
      ? [
          `This process itself stood still for up to ${Math.round(late.max)} ms: latencies may be its own. Use fewer agents, or several processes.`,
        ]
      : [];
  if (wrong.length === 0) return [...own, 'All is well.'];
  return [...own, 'What went wrong:', ...wrong.map((sentence) => `  - ${sentence}`)];
}
