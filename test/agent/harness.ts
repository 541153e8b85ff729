import { afterEach } from 'vitest';
import { type AgentState, FleetAgent, type FleetAgentOptions, type SessionEnd } from '../../agent/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { soon } from '../support/soon.ts';
import { type Script, ScriptedHub } from './scripted-hub.ts';

interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error';
  fields: Record<string, unknown>;
  message: string;
}

/** An agent under a clock that stands still, and all that it said. */
export interface Harness {
  agent: FleetAgent;
  clock: FakeClock;
  states: AgentState[];
  ends: SessionEnd[];
  log: LogLine[];
  logged: (message: string | RegExp) => LogLine[];
  /** Starts, and waits for the registration. */
  register: () => Promise<void>;
  /**
   * Lets time pass in small steps; after each, all pings have reached the hub, and where it answers, the answers
   * have reached the agent. So no outcome depends on how fast the sockets are.
   */
  pass: (ms: number) => Promise<void>;
}

const cleanups: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export async function startHub(script: Partial<Script> = {}, port = 0): Promise<ScriptedHub> {
  const hub = await ScriptedHub.start(script, port);
  cleanups.push(() => hub.kill());
  return hub;
}

const STEP_MS = 25;

/** Every jitter is half of what it could be, unless `random` says otherwise. */
export function makeAgent(hub: ScriptedHub, options: Partial<FleetAgentOptions> = {}): Harness {
  const clock = new FakeClock();
  const log: LogLine[] = [];
  /** Of the session that is live. */
  let sent = 0;
  let acknowledged = 0;
  const write =
    (level: LogLine['level']) =>
    (fields: object, message: string): void => {
      log.push({ level, fields: { ...fields }, message });
      if (message === 'Heartbeat sent' || message === 'Heartbeat missed, will retry') sent += 1;
    };
  const agent = new FleetAgent({
    hubUrl: options.hubUrl ?? hub.url,
    node: { hostname: 'web-1' },
    clock,
    random: () => 0.5,
    logger: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
    ...options,
  });
  const states: AgentState[] = [];
  const ends: SessionEnd[] = [];
  agent.on('state', ({ to }) => {
    states.push(to);
    if (to === 'registered') sent = acknowledged = 0;
  });
  agent.on('closed', (end) => ends.push(end));
  agent.on('heartbeat', () => {
    acknowledged += 1;
  });
  const logged = (message: string | RegExp): LogLine[] =>
    log.filter((line) =>
      typeof message === 'string' ? line.message === message : message.test(line.message),
    );
  const live = (): boolean => agent.state === 'registered' || agent.state === 'heartbeating';
  const settled = (): boolean => !live() || (hub.last.pings >= sent && acknowledged >= hub.last.pongs);
  cleanups.push(async () => {
    const stopped = agent.stop();
    let done = false;
    void stopped.finally(() => {
      done = true;
    });
    await soon(() => {
      clock.tick(STEP_MS);
      return done;
    });
  });
  return {
    agent,
    clock,
    states,
    ends,
    log,
    logged,
    async register() {
      await agent.start();
    },
    async pass(ms) {
      for (let passed = 0; passed < ms; passed += STEP_MS) {
        clock.tick(Math.min(STEP_MS, ms - passed));
        await soon(settled);
      }
    },
  };
}
