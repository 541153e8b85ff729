import { afterEach, expect, test } from 'vitest';
import { LIMITS } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { frame, OPCODE, type RawSocket } from '../support/raw-socket.ts';
import { soon } from '../support/soon.ts';
import { type TestHub, TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const register = {
  type: 'register',
  protocol: 1,
  instanceId: 'f7a9b5a4-3c0e-4d5e-9a53-0f9b7b3b8b11',
  node: { nodeId: 'raw', hostname: 'raw' },
};

async function rawRegistered(hub: TestHub): Promise<RawSocket> {
  const raw = await hub.rawAgent();
  raw.write(frame(OPCODE.text, JSON.stringify(register)));
  expect(JSON.parse(String((await raw.nextFrame()).payload))).toMatchObject({ type: 'registered' });
  return raw;
}

const pings = (count: number): Buffer => Buffer.concat(Array<Buffer>(count).fill(frame(OPCODE.ping)));

async function expectPongs(raw: RawSocket, count: number): Promise<void> {
  for (let pong = 0; pong < count; pong += 1) {
    expect((await raw.nextFrame()).opcode).toBe(OPCODE.pong);
  }
}

test('[FRZ-2] the pings of a hub that stood still for 8 s are no flood: 40 a second are all answered', async () => {
  const clock = new FakeClock();
  const raw = await rawRegistered(await hubs.start({ clock }));
  await expectPongsAfter(raw, 150);
  clock.jump(8_000);
  await expectPongsAfter(raw, 320);
});

test('[FRZ-2] more than may come in that time are one, and what was allowed is allowed once', async () => {
  const clock = new FakeClock();
  const raw = await rawRegistered(await hubs.start({ clock }));
  clock.jump(8_000);
  await expectPongsAfter(raw, LIMITS.framesBurst + 8 * LIMITS.framesPerSecond - 100);
  raw.write(pings(300));
  expect(await raw.closeCode()).toBe(4400);
});

test('[FRZ-3] a hub that stood still reads its sockets before it ends those that were silent for too long', async () => {
  const clock = new FakeClock();
  const hub = await hubs.start({ clock });
  const raw = await rawRegistered(hub);
  const late = await hub.rawAgent();
  await clock.advance(1_000);
  clock.jump(60_000);
  raw.write(pings(1));
  late.write(frame(OPCODE.text, JSON.stringify({ ...register, node: { nodeId: 'late', hostname: 'late' } })));
  await expectPongs(raw, 1);
  await expectPongsAfter(raw, 1);
  await clock.advance(5_000);
  expect(String((await late.nextFrame()).payload)).toContain('"registered"');
  await expectPongsAfter(raw, 1);
  expect(hub.node('raw')).toMatchObject({ status: 'online' });
});

test('[BACK-5] a registration that came while the hub stood still, of an agent that gave up, is not taken', async () => {
  const clock = new FakeClock();
  const hub = await hubs.start({ clock });
  const late = await hub.rawAgent();
  const patient = await hub.rawAgent();
  clock.jump(8_000);
  const named = (nodeId: string) => JSON.stringify({ ...register, node: { nodeId, hostname: nodeId } });
  late.write(frame(OPCODE.text, named('late')));
  late.socket.end();
  patient.write(frame(OPCODE.text, named('patient')));
  await late.gone;
  await soon(() => hub.hub.agents.size === 1);
  await clock.advance(1_000);
  expect(String((await patient.nextFrame()).payload)).toContain('"registered"');
  expect(hub.node('late')).toBeUndefined();
});

async function expectPongsAfter(raw: RawSocket, count: number): Promise<void> {
  raw.write(pings(count));
  await expectPongs(raw, count);
}
