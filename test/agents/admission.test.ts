import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { Admission, TURN_MS } from '../../server/edge/admission.ts';
import { KNOWN_HEADER, LIMITS } from '../../shared/index.ts';
import { RefusedUpgrade } from '../support/agent-client.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type TestHub, TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const tokens = { AGENT_TOKENS: 'right-token', DASHBOARD_TOKENS: 'reader-token' };
const right = { authorization: 'Bearer right-token' };
const reader = { authorization: 'Bearer reader-token' };
const known = { [KNOWN_HEADER]: '1' };

/** A clock whose timers do not come to their turn while time goes on, as in a process with too much to do. */
class LateClock extends FakeClock {
  lateMs = 0;

  override now(): number {
    return super.now() + this.lateMs;
  }
}

/** How an upgrade was refused; fails where it was not. */
async function refusal(hub: TestHub, headers: Record<string, string> = {}): Promise<RefusedUpgrade> {
  const error = await hub.connect(headers).catch((reason: unknown) => reason);
  if (!(error instanceof RefusedUpgrade)) throw new Error('the upgrade was not refused');
  return error;
}

const waitOf = ({ body }: RefusedUpgrade): number => JSON.parse(body).retryAfterMs;

describe('a hub', () => {
  it('[ADM-1] bounds the handshakes under way, newcomers by half, until they end', async () => {
    const hub = await hubs.start({ settings: { MAX_HANDSHAKES: '4' } });
    const first = await hub.connect();
    const second = await hub.connect();
    expect(await refusal(hub)).toMatchObject({ status: 503 });
    await hub.connect(known);
    await hub.connect(known);
    expect(await refusal(hub, known)).toMatchObject({ status: 503 });
    expect(hub.hub.agents.admission).toMatchObject({
      handshakes: 4,
      admitted: { new: 2, known: 2 },
      refused: { handshakes: 2 },
    });
    await first.register({ nodeId: 'n-1' });
    second.socket.close();
    await until('two handshakes are over', () => hub.hub.agents.admission.handshakes === 2);
    await hub.connect(known);
    expect(await refusal(hub)).toMatchObject({ status: 503 });
  });

  it('[ADM-1] forgets handshakes however they end', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock });
    const { admission } = hub.hub.agents;
    const agents = await Promise.all(Array.from({ length: 6 }, () => hub.connect()));
    expect(admission.handshakes).toBe(6);
    agents[0]?.socket.terminate();
    agents[1]?.socket.send(Buffer.from('binary'));
    agents[2]?.socket.close(1000);
    await until('three of them are over', () => admission.handshakes === 3);
    await agents[3]?.register({ nodeId: 'n-3' });
    await clock.advance(LIMITS.registerWithinMs + 1_000);
    await agents[4]?.closed;
    await until('all of them are over', () => admission.handshakes === 0);
  });

  it('[ADM-2] bounds the rate, and leaves half of the burst to those who were there before', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock, settings: { ADMIT_PER_SECOND: '1' } });
    await hub.connect();
    await hub.connect();
    expect(await refusal(hub)).toMatchObject({ status: 503 });
    await hub.connect(known);
    await hub.connect(known);
    expect(await refusal(hub, known)).toMatchObject({ status: 503 });
    await clock.advance(1_000);
    expect(await refusal(hub)).toMatchObject({ status: 503 });
    await hub.connect(known);
    expect(hub.hub.agents.admission.refused.rate).toBe(3);
  });

  it('[ADM-3] that is late with its own work lets nobody in, newcomers first', async () => {
    const clock = new LateClock();
    const hub = await hubs.start({ clock });
    const agent = await hub.agent({ nodeId: 'n-1' });
    clock.lateMs = 3_000;
    expect(await refusal(hub)).toMatchObject({ status: 503 });
    await hub.connect(known);
    clock.lateMs = 6_000;
    expect(await refusal(hub, known)).toMatchObject({ status: 503 });
    agent.socket.ping();
    await new Promise((resolve) => agent.socket.once('pong', resolve));
    await clock.advance(200);
    await hub.connect();
    expect(hub.hub.agents.admission.refused.late).toBe(2);
  });

  it('[ADM-4] tells in header and body when to come again', async () => {
    const hub = await hubs.start({
      settings: { MAX_HANDSHAKES: '2', AGENT_TOKENS: 'right-token', DASHBOARD_TOKENS: 'other-token' },
    });
    await hub.connect({ authorization: 'Bearer right-token' });
    const refused = await refusal(hub, { authorization: 'Bearer right-token' });
    expect(refused).toMatchObject({ status: 503 });
    expect(waitOf(refused)).toBeGreaterThanOrEqual(1_000);
    expect(waitOf(refused)).toBeLessThanOrEqual(3_000);
    expect(Number(refused.headers['retry-after'])).toBe(Math.ceil(waitOf(refused) / 1_000));
    expect(JSON.parse(refused.body).message).toBe('too many agents are registering');
  });

  it('[ADM-5] lets nobody without a right token use up what it admits', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock, settings: { ...tokens, ADMIT_PER_SECOND: '1' } });
    for (let n = 0; n < 8; n += 1) {
      expect(await refusal(hub, { authorization: 'Bearer wrong-token' })).toMatchObject({ status: 401 });
      expect(await refusal(hub, { ...right, origin: 'https://evil.example' })).toMatchObject({ status: 403 });
    }
    await hub.connect(right);
    await hub.connect(right);
    expect(await refusal(hub, right)).toMatchObject({ status: 503 });
    expect(await refusal(hub)).toMatchObject({ status: 401 });
  });

  it('[ADM-6] tells an address to wait from its eleventh wrong token on, at every entrance, and takes the right one', async () => {
    const clock = new FakeClock();
    const hub = await hubs.start({ clock, settings: tokens });
    for (let n = 0; n < 5; n += 1) {
      expect(await refusal(hub, { authorization: 'Bearer wrong-token' })).toMatchObject({ status: 401 });
      expect((await hub.fetch('/api/v1/nodes')).status).toBe(401);
    }
    const refused = await refusal(hub, { authorization: 'Bearer wrong-token' });
    expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '60' } });
    expect(waitOf(refused)).toBe(60_000);
    const answer = await hub.fetch('/api/v1/nodes', { headers: { authorization: 'Bearer wrong-token' } });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '60']);
    expect(await answer.json()).toMatchObject({ code: 'rate_limited' });
    await hub.connect(right);
    expect((await hub.fetch('/api/v1/nodes', { headers: reader })).status).toBe(200);
    await clock.advance(60_000);
    expect(await refusal(hub)).toMatchObject({ status: 401 });
  });

  it('counts those whom it refuses by why', async () => {
    const hub = await hubs.start({
      settings: { AGENT_TOKENS: 'right-token', DASHBOARD_TOKENS: 'other-token' },
    });
    await refusal(hub, { authorization: 'Bearer wrong-token' });
    await refusal(hub, { authorization: 'Bearer other-token' });
    const headers = { authorization: 'Bearer other-token' };
    const text = await (await hub.fetch('/metrics', { headers })).text();
    expect(text).toContain('rollcall_refused_total{reason="unauthenticated"} 1');
    expect(text).toContain('rollcall_refused_total{reason="forbidden"} 1');
    expect(text).toContain('rollcall_admitted_total{agent="known"} 0');
    expect(text).toContain('rollcall_handshakes 0');
  });
});

describe('the time that those who are sent away are told', () => {
  const limits = { perSecond: 1_000, handshakes: 10, lateMs: 5_000 };

  it('[ADM-4] grows with those who were sent away before, up to about a minute', () => {
    const admission = new Admission(limits, 0);
    const sendAway = (count: number): void => {
      for (let n = 0; n < count; n += 1) admission.retryAfterMs(0);
    };
    expect(admission.retryAfterMs(0, () => 0)).toBe(1_000);
    expect(admission.retryAfterMs(0, () => 1)).toBe(3_001);
    sendAway(9_998);
    expect(admission.retryAfterMs(0, () => 0)).toBe(6_000);
    expect(admission.retryAfterMs(0, () => 1)).toBe(16_002);
    sendAway(100_000);
    expect(admission.retryAfterMs(0, () => 1)).toBe(61_000);
    // They came: whoever is sent away later finds nobody before him.
    expect(admission.retryAfterMs(120_000, () => 1)).toBe(3_000);
  });

  it('brings a herd back at about the rate at which it is taken, whatever its size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 40_000 }), (herd) => {
        const admission = new Admission(limits, 0);
        const returns = new Map<number, number>();
        for (let n = 0; n < herd; n += 1) {
          // Evenly, without chance, so that the bound is exact.
          const second = Math.floor(admission.retryAfterMs(0, () => (n * 0.618_034) % 1) / 1_000);
          returns.set(second, (returns.get(second) ?? 0) + 1);
        }
        return Math.max(...returns.values()) <= 1.5 * limits.perSecond;
      }),
      { numRuns: 20 },
    );
  });

  it('does not call a hub late that comes to its timers', () => {
    const admission = new Admission(limits, 0);
    for (let now = 0; now < 60_000; now += TURN_MS) {
      admission.turned(now);
      if (now % 10_000 === 0) expect(admission.overload(false, now + TURN_MS)).toBeUndefined();
    }
    expect(admission.overload(true, 60_000 + limits.lateMs + 1)).toBe('late');
  });
});
