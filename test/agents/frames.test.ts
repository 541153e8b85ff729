import { afterEach, describe, expect, test } from 'vitest';
import { LIMITS } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { closeFrame, frame, OPCODE, type RawSocket } from '../support/raw-socket.ts';
import { soon } from '../support/soon.ts';
import { type TestHub, TestHubs } from '../support/test-hub.ts';
import { expectUnharmed, withBystander } from './bystander.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const register = (node: object): string =>
  JSON.stringify({
    type: 'register',
    protocol: 1,
    instanceId: 'f7a9b5a4-3c0e-4d5e-9a53-0f9b7b3b8b11',
    node,
  });

/** A registered agent whose frames are written by hand. */
async function rawRegistered(hub: TestHub): Promise<RawSocket> {
  const raw = await hub.rawAgent();
  raw.write(frame(OPCODE.text, register({ nodeId: 'raw', hostname: 'raw' })));
  expect(JSON.parse(String((await raw.nextFrame()).payload))).toMatchObject({ type: 'registered' });
  return raw;
}

const [text, more] = [
  frame(OPCODE.text, 'a', { fin: false }),
  frame(OPCODE.continuation, 'a', { fin: false }),
];

describe('a frame that breaks the WebSocket protocol', () => {
  const broken: Array<[string, Buffer, number]> = [
    ['an unmasked frame', frame(OPCODE.text, '{}', { masked: false }), 1002],
    ['an unmasked ping', frame(OPCODE.ping, '', { masked: false }), 1002],
    ['a reserved bit', frame(OPCODE.text, '{}', { reserved: 4 }), 1002],
    ['a reserved opcode', frame(3, '{}'), 1002],
    ['a reserved control opcode', frame(11), 1002],
    ['a ping in fragments', frame(OPCODE.ping, '', { fin: false }), 1002],
    ['a ping of 126 bytes', frame(OPCODE.ping, 'x'.repeat(126)), 1002],
    ['a continuation of nothing', frame(OPCODE.continuation, '{}'), 1002],
    ['a message amid another', Buffer.concat([text, text]), 1002],
    ['a Close frame of one byte', frame(OPCODE.close, 'x'), 1002],
    ['a Close frame with 1005', closeFrame(1005), 1002],
    ['a Close frame with 0', closeFrame(0), 1002],
    ['text that is no UTF-8', frame(OPCODE.text, Buffer.from([0x22, 0xc3, 0x28, 0x22])), 1007],
    ['half a surrogate in UTF-8', frame(OPCODE.text, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), 1007],
    [
      'a close reason that is no UTF-8',
      Buffer.concat([frame(OPCODE.close, Buffer.from([0x03, 0xe8, 0xff]))]),
      1007,
    ],
    ['a frame of 64 KiB and a byte', frame(OPCODE.text, 'x'.repeat(LIMITS.frameBytes + 1)), 1009],
    ['a frame that claims 1 MB', frame(OPCODE.text, 'x', { claimedLength: 1_000_000 }), 1009],
    ['a frame that claims 2^40 bytes', frame(OPCODE.text, 'x', { claimedLength: 2 ** 40 }), 1009],
    ['a message in 17 fragments', Buffer.concat([text, ...Array<Buffer>(16).fill(more)]), 1008],
  ];
  test.each(broken)(
    '[LIM-18] %s ends that session, and its node is left to its heartbeat',
    async (_name, bytes, code) => {
      const watched = await withBystander(await hubs.start());
      const raw = await rawRegistered(watched.hub);
      raw.write(bytes);
      expect(await raw.closeCode()).toBe(code);
      raw.destroy();
      await soon(() => watched.hub.hub.agents.size === 1);
      expect(watched.hub.hub.fleet.sessions.get('raw')).toBeUndefined();
      await expectUnharmed(watched);
      expect(watched.hub.node('raw')).toMatchObject({ status: 'online', seq: 1 });
      expect(await watched.hub.events('raw')).toHaveLength(1);
    },
  );

  test('[LIM-18] a whole message amid another ends the session too where it comes alone', async () => {
    const hub = await hubs.start();
    const raw = await rawRegistered(hub);
    raw.write(text);
    // A ping amid the message is answered: the hub has read what came before it.
    raw.write(frame(OPCODE.ping));
    expect(await raw.nextFrame()).toMatchObject({ opcode: OPCODE.pong });
    raw.write(frame(OPCODE.text, '{}'));
    expect(await raw.closeCode()).toBe(1002);
    raw.destroy();
  });

  test('[LIM-18] a peer sees 1009 for a message of 1 MB', async () => {
    const watched = await withBystander(await hubs.start());
    const agent = await watched.hub.agent({ nodeId: 'n-1' });
    agent.send({ type: 'stats', filler: 'x'.repeat(1_000_000) });
    expect(await agent.closed).toMatchObject({ code: 1009 });
    await expectUnharmed(watched);
  });

  test('[LIM-19] a frame of 64 KiB is read, whole or in 16 fragments', async () => {
    const hub = await hubs.start();
    const raw = await rawRegistered(hub);
    const empty = register({ nodeId: 'raw', hostname: 'raw' });
    const whole = `${empty.slice(0, -1)},"filler":"${'x'.repeat(LIMITS.frameBytes - empty.length - 12)}"}`;
    expect(whole.length).toBe(LIMITS.frameBytes);
    raw.write(frame(OPCODE.text, whole));
    expect(String((await raw.nextFrame()).payload)).toContain('"registered"');
    const size = LIMITS.frameBytes / 16;
    for (let part = 0; part < 16; part += 1) {
      const payload = whole.slice(part * size, (part + 1) * size);
      raw.write(frame(part === 0 ? OPCODE.text : OPCODE.continuation, payload, { fin: part === 15 }));
    }
    expect(String((await raw.nextFrame()).payload)).toContain('"registered"');
    expect(hub.node('raw')).toMatchObject({ seq: 1 });
  });

  test('[LIM-20] fragments that go on for ever are bounded by the size of a message', async () => {
    const watched = await withBystander(await hubs.start());
    const raw = await rawRegistered(watched.hub);
    raw.write(frame(OPCODE.text, 'x'.repeat(40_000), { fin: false }));
    raw.write(frame(OPCODE.continuation, 'x'.repeat(40_000), { fin: false }));
    expect(await raw.closeCode()).toBe(1009);
    await expectUnharmed(watched);
  });
});

describe('control frames', () => {
  test('[HB-4] the pong carries the payload of its ping', async () => {
    const hub = await hubs.start();
    const raw = await rawRegistered(hub);
    for (const payload of ['', 'a', 'x'.repeat(125)]) {
      raw.write(frame(OPCODE.ping, payload));
      const { opcode, payload: answer } = await raw.nextFrame();
      expect([opcode, String(answer)]).toEqual([OPCODE.pong, payload]);
    }
  });

  test('[HB-5] twenty pings in one packet, as after a hub that stood still, are answered by twenty pongs', async () => {
    const hub = await hubs.start();
    const raw = await rawRegistered(hub);
    raw.write(Buffer.concat(Array.from({ length: 20 }, (_, index) => frame(OPCODE.ping, String(index)))));
    for (let index = 0; index < 20; index += 1) {
      expect(String((await raw.nextFrame()).payload)).toBe(String(index));
    }
    expect(hub.node('raw')).toMatchObject({ status: 'online' });
  });

  test('[LIM-16] a flood of pongs, which nobody asked for, ends the session with 4400', async () => {
    const watched = await withBystander(await hubs.start());
    const raw = await rawRegistered(watched.hub);
    raw.write(Buffer.concat(Array<Buffer>(1_000).fill(frame(OPCODE.pong))));
    expect(await raw.closeCode()).toBe(4400);
    await expectUnharmed(watched);
  });

  test('[LIM-16] a flood of pings gets 200 pongs, then 4400', async () => {
    const watched = await withBystander(await hubs.start());
    const raw = await rawRegistered(watched.hub);
    raw.write(Buffer.concat(Array<Buffer>(3_000).fill(frame(OPCODE.ping, 'x'.repeat(125)))));
    let pongs = 0;
    for (;;) {
      const { opcode, payload } = await raw.nextFrame();
      if (opcode === OPCODE.close) {
        expect(payload.readUInt16BE()).toBe(4400);
        break;
      }
      pongs += 1;
    }
    expect(pongs).toBeGreaterThanOrEqual(LIMITS.framesBurst - 1);
    expect(pongs).toBeLessThan(1_000);
    await expectUnharmed(watched);
  });

  test('[LIM-21] an agent that never reads is cut off before the hub grows by a megabyte', async () => {
    const clock = new FakeClock();
    const watched = await withBystander(await hubs.start({ clock }));
    const { hub } = watched;
    const raw = await rawRegistered(hub);
    raw.socket.pause();
    const metadata = { filler: 'x'.repeat(30_000) };
    let unread = 0;
    // One that says the same is no change, so nothing holds it back, and each answer carries the whole node. They go
    // into the buffers of the network first, then into the hub.
    const again = frame(OPCODE.text, register({ nodeId: 'raw', hostname: 'raw', metadata }));
    for (let sent = 1; hub.hub.agents.size > 1; sent += 1) {
      expect(sent).toBeLessThan(3_000);
      raw.write(again);
      for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
      unread = Math.max(unread, hub.hub.agents.unreadBytes);
      await clock.advance(10);
    }
    expect(unread).toBeGreaterThan(100_000);
    expect(unread).toBeLessThan(1_000_000);
    await expectUnharmed(watched);
  });
});

const upgradeTo = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'a'.repeat(22)}==\r\n\r\n`;

describe('handshakes', () => {
  test('[LIM-22] one that never ends holds up nobody, neither agents nor the end of the hub', async () => {
    const watched = await withBystander(await hubs.start());
    const { hub } = watched;
    const silent = await hub.rawSocket();
    const half = await hub.rawSocket();
    half.write('GET /agent HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso');
    const noise = await hub.rawSocket();
    noise.write('\u0016\u0003\u0001 hello\r\n\r\n');
    expect(await noise.head()).toMatch(/^HTTP\/1.1 400 /);
    await expectUnharmed(watched);
    await hub.stop();
    await Promise.all([silent.gone, half.gone]);
  });

  const refused: Array<[string, string, Record<string, string>, number]> = [
    ['no key', '/agent', { 'Sec-WebSocket-Key': '' }, 400],
    ['a key of the wrong length', '/agent', { 'Sec-WebSocket-Key': 'abc' }, 400],
    ['an old version', '/agent', { 'Sec-WebSocket-Version': '7' }, 400],
    ['another protocol', '/agent', { Upgrade: 'h2c' }, 400],
    ['another path', '/agents', {}, 404],
    ['the root', '/', {}, 404],
    ['a path below', '/agent/x', {}, 404],
    ['a path that climbs', '/x/../agent', {}, 404],
    ['a name of the prototype', '/__proto__', {}, 404],
    ['a path of 10,000 characters', `/${'a'.repeat(10_000)}`, {}, 404],
    ['a broken escape', '/%zz', {}, 404],
  ];
  test.each(refused)('[LIM-23] an upgrade with %s is refused', async (_name, path, headers, status) => {
    const watched = await withBystander(await hubs.start());
    const raw = await watched.hub.rawSocket();
    expect(await raw.upgrade(path, headers)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    await raw.gone;
    await expectUnharmed(watched);
  });

  test('[LIM-24] a message in the same packet as the handshake is read', async () => {
    const hub = await hubs.start();
    const raw = await hub.rawSocket();
    const head = upgradeTo('/agent?x=1');
    raw.write(Buffer.concat([Buffer.from(head), frame(OPCODE.text, register({ hostname: 'eager' }))]));
    expect(await raw.head()).toMatch(/^HTTP\/1.1 101 /);
    expect(String((await raw.nextFrame()).payload)).toContain('"registered"');
  });

  test('[LIM-24] a broken frame in the same packet as the handshake ends that socket alone', async () => {
    const watched = await withBystander(await hubs.start());
    const raw = await watched.hub.rawSocket();
    const head = upgradeTo('/agent');
    raw.write(Buffer.concat([Buffer.from(head), frame(OPCODE.text, '{}', { masked: false })]));
    await raw.head();
    expect(await raw.closeCode()).toBe(1002);
    await expectUnharmed(watched);
  });

  test('[LIM-24] a peer that resets amid the handshake or right after it disturbs nobody', async () => {
    const watched = await withBystander(await hubs.start());
    for (let times = 0; times < 5; times += 1) {
      const early = await watched.hub.rawSocket();
      early.write('GET /agent HTTP/1.1\r\nHost: localhost\r\n');
      early.reset();
      const late = await watched.hub.rawAgent();
      late.reset();
      // The answer to a refused upgrade finds nobody.
      const refused = await watched.hub.rawSocket();
      refused.write(upgradeTo('/nothing'));
      refused.reset();
    }
    await soon(() => watched.hub.hub.agents.size === 1);
    await expectUnharmed(watched);
  });
});
