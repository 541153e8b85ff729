import cluster, { type Worker } from 'node:cluster';
import type { Log } from '../../server/runtime/log.ts';
import { CommandFailure } from '../api/failure.ts';
import { untilSignal } from '../signals.ts';
import { decideMoves } from './decide-moves.ts';
import { Handoffs } from './handoffs.ts';
import { type PrimaryMessage, type WorkerMessage, workerMessageSchema } from './messages.ts';
import { Restarts } from './restarts.ts';
import { Roster } from './roster.ts';
import { Scrapes } from './scrapes.ts';

/**
 * `rollcall hub --workers N`: starts N workers on one port and starts again those that die, until it is told to
 * stop. Throws `CommandFailure` where the first of them cannot start: the others would fail likewise.
 */
export async function runGroup(wanted: number, log: Log, { secrets, reloader }: GroupParts): Promise<void> {
  const group = new HubGroup(wanted, log, secrets);
  const signal = untilSignal({ reload: reloader(() => group.reload()) });
  // Whatever ends this process ends the group: a second signal, or workers that do not stop in time.
  process.once('exit', () => group.kill());
  try {
    const url = await Promise.race([group.start(), signal.then(() => undefined)]);
    if (url !== undefined) log.info({ url, workers: wanted }, 'Hub group listening');
    const why = await Promise.race([signal, group.failed]);
    log.info({ signal: why, workers: wanted }, 'Hub group stopping');
  } finally {
    await group.stop();
  }
  log.info({}, 'Hub group stopped');
  process.exitCode = group.exitCode;
}

/** How often it is looked whether the agents are spread over the workers. */
const MOVE_EVERY_MS = 5_000;
/** A worker that listens for less has not got the agents yet that come by themselves. */
const SETTLED_MS = 10_000;

export interface GroupParts {
  /** What workers need in their environment, and this process has no more in its own. */
  secrets: Readonly<Record<string, string>>;
  /** Makes what SIGHUP does here; workers are told where the settings are right. */
  reloader: (tellWorkers: () => void) => () => void;
}

interface Member {
  worker: Worker;
  handoffs: Handoffs;
  /** How many it held when it last said so. */
  agents: number;
  startedAt: number;
  listens: boolean;
  restarts: Restarts;
  /** Why it said that it cannot start. */
  failure: { exitCode: number; message: string } | undefined;
}

/** The workers of one group, as their primary has them. */
class HubGroup {
  /** 0 unless a worker had to be ended by force. */
  exitCode = 0;
  /** Rejects where no worker ever listened and one ended. */
  readonly failed: Promise<never>;
  readonly #wanted: number;
  readonly #log: Log;
  readonly #secrets: GroupParts['secrets'];
  readonly #roster: Roster;
  readonly #members = new Map<number, Member>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #scrapes = new Scrapes((id) => this.#tellAll({ type: 'collect', id }));
  #fail: (error: Error) => void = () => {};
  #listening: (url: string) => void = () => {};
  #allGone: () => void = () => {};
  #everListened = false;
  #stopping = false;

  constructor(wanted: number, log: Log, secrets: GroupParts['secrets']) {
    this.#secrets = secrets;
    this.#wanted = wanted;
    this.#log = log;
    this.#roster = new Roster(wanted);
    this.failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    // It is waited for in turns; between them nobody may be there to hear it.
    this.failed.catch(() => {});
    // Connections are handed out in turn, Node's default. It costs this process some 0.1 ms for each; but a worker
    // keeps its sockets for days, and where workers take them for themselves one has three times those of another.
    // `advanced`: figures that are no numbers yet would arrive as null.
    cluster.setupPrimary({ serialization: 'advanced' });
  }

  /** Starts all workers; resolves with their URL once each has listened. */
  start(): Promise<string> {
    for (let index = 0; index < this.#wanted; index += 1) this.#begin(new Restarts());
    setInterval(() => this.#moveAgents(), MOVE_EVERY_MS).unref();
    return Promise.race([
      this.failed,
      new Promise<string>((resolve) => {
        this.#listening = resolve;
      }),
    ]);
  }

  /** Has every worker read its settings again. */
  reload(): void {
    this.#tellAll({ type: 'reload' });
  }

  /** Lets every worker take leave of its agents. Resolves when all are gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#members.size === 0) return;
    const gone = new Promise<void>((resolve) => {
      this.#allGone = resolve;
    });
    for (const { worker, listens } of this.#members.values()) {
      // A message may reach a worker that begins before anybody there listens; a signal does not get lost.
      if (listens) this.#tell(worker, { type: 'stop' });
      else worker.process.kill('SIGTERM');
    }
    await gone;
  }

  /** Ends what is left at once. */
  kill(): void {
    for (const { worker } of this.#members.values()) worker.process.kill('SIGKILL');
  }

  #begin(restarts: Restarts): void {
    const worker = cluster.fork(this.#secrets);
    const member: Member = {
      worker,
      handoffs: new Handoffs(worker),
      agents: 0,
      startedAt: performance.now(),
      listens: false,
      restarts,
      failure: undefined,
    };
    this.#members.set(worker.id, member);
    worker.on('message', (message: unknown) => {
      const read = workerMessageSchema.safeParse(message);
      if (read.success) this.#take(member, read.data);
    });
    worker.on('error', (error) => {
      // Of a process that could not be made there is no end; of a line that broke the end follows.
      if (worker.process.pid === undefined) this.#ended(member, null, error.message);
    });
    worker.once('exit', (code, signal) => this.#ended(member, code, signal));
  }

  #take(member: Member, message: WorkerMessage): void {
    const { worker } = member;
    switch (message.type) {
      case 'listening':
        this.#everListened = true;
        member.listens = true;
        this.#roster.listens(worker.id, message.ready);
        this.#tellStatus();
        if (this.#roster.status.running === this.#wanted) this.#listening(message.url);
        break;
      case 'ready':
        this.#roster.isReady(worker.id, message.ready);
        this.#tellStatus();
        break;
      case 'load':
        member.agents = message.agents;
        break;
      case 'failed':
        member.failure = message;
        break;
      case 'scrape':
        void this.#scrapes
          .collect()
          .then((text) => this.#tell(worker, { type: 'scraped', id: message.id, text }))
          .catch((error: unknown) => this.#log.error({ err: error }, 'The figures cannot be merged'));
        break;
      case 'figures':
        this.#scrapes.answered(message.id, message.figures);
        break;
      default:
        message satisfies never;
    }
  }

  #ended(
    { worker, handoffs, startedAt, restarts, failure }: Member,
    code: number | null,
    signal: string | null,
  ): void {
    this.#members.delete(worker.id);
    this.#roster.gone(worker.id);
    const unserved = handoffs.end();
    if (this.#stopping) {
      // One that was still starting may have died of the signal itself.
      if (code !== 0 && code !== null) this.exitCode = 1;
      if (this.#members.size === 0) this.#allGone();
      return;
    }
    this.#tellStatus();
    const how =
      failure?.message ?? (signal === null ? `it ended with code ${code}` : `it ended by ${signal}`);
    if (!this.#everListened) {
      this.kill();
      this.#fail(new CommandFailure(failure?.exitCode ?? 1, failure ? how : `a worker cannot start: ${how}`));
      return;
    }
    const restartInMs = restarts.delayAfter(performance.now() - startedAt);
    const { pid } = worker.process;
    this.#log.warn(
      { pid, why: how, restartInMs, ...(unserved > 0 && { unserved }) },
      'A worker is gone; starting another',
    );
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#begin(restarts);
    }, restartInMs);
    this.#timers.add(timer);
  }

  /** A worker that was started again has none, and those that live long keep theirs: some of them are to move. */
  #moveAgents(): void {
    const { running, ready } = this.#roster.status;
    if (this.#stopping || running < this.#wanted || ready < this.#wanted) return;
    const members = [...this.#members.values()];
    if (members.some(({ startedAt }) => performance.now() - startedAt < SETTLED_MS)) return;
    const loads = members.map(({ worker, agents }) => ({ worker: worker.id, agents }));
    for (const { worker, agents } of decideMoves(loads)) {
      const member = this.#members.get(worker);
      if (member) this.#tell(member.worker, { type: 'move', agents });
    }
  }

  #tellStatus(): void {
    this.#tellAll({ type: 'group', status: this.#roster.status });
  }

  /** Tells those that listen, and returns how many they are. */
  #tellAll(message: PrimaryMessage): number {
    const all = [...this.#members.values()].filter(({ worker, listens }) => listens && worker.isConnected());
    for (const { worker } of all) this.#tell(worker, message);
    return all.length;
  }

  #tell(worker: Worker, message: PrimaryMessage): void {
    if (worker.isConnected()) worker.send(message);
  }
}
