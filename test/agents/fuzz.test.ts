import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { fuzzing, messageText } from '../support/fuzz.ts';
import { closeFrame, frame, OPCODE, type RawSocket } from '../support/raw-socket.ts';
import { type TestHub, TestHubs } from '../support/test-hub.ts';
import { expectUnharmed, withBystander } from './bystander.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const payload = fc.oneof(fc.uint8Array({ maxLength: 200 }), messageText).map((data) => Buffer.from(data));
const opcode = fc.constantFrom(...Object.values(OPCODE));

/** Something that a peer may write, mostly frames that are at least half right. */
const bytes = fc.oneof(
  { weight: 8, arbitrary: messageText.map((text) => frame(OPCODE.text, text)) },
  {
    weight: 3,
    arbitrary: fc.tuple(messageText, fc.nat(200)).map(([text, at]) => {
      const whole = Buffer.from(text);
      const first = frame(OPCODE.text, whole.subarray(0, at), { fin: false });
      return Buffer.concat([
        first,
        frame(OPCODE.ping, 'amid'),
        frame(OPCODE.continuation, whole.subarray(at)),
      ]);
    }),
  },
  {
    weight: 3,
    arbitrary: fc.uint8Array({ maxLength: 125 }).map((data) => frame(OPCODE.ping, Buffer.from(data))),
  },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 125 }).map((data) => frame(OPCODE.pong, Buffer.from(data))),
  },
  { weight: 1, arbitrary: payload.map((data) => frame(OPCODE.binary, data)) },
  {
    weight: 2,
    arbitrary: fc
      .record({
        opcode: fc.oneof(opcode, fc.nat(15)),
        data: payload,
        fin: fc.boolean(),
        masked: fc.boolean(),
        reserved: fc.constantFrom(0, 0, 0, 1, 4),
        claimed: fc.option(fc.oneof(fc.nat(70_000), fc.constant(2 ** 33)), { nil: undefined, freq: 2 }),
      })
      .map(({ opcode: code, data, fin, masked, reserved, claimed }) =>
        frame(code, data, {
          fin,
          masked,
          reserved,
          ...(claimed !== undefined && { claimedLength: claimed }),
        }),
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(5_000), fc.string({ maxLength: 100 }))
      .map(([code, why]) => closeFrame(code, why)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((data) => Buffer.from(data)) },
);

const end = fc.constantFrom('ping', 'close', 'reset', 'end');

let agents = 0;
async function fuzz(
  hub: TestHub,
  registered: boolean,
  writes: readonly Buffer[],
  how: string,
): Promise<void> {
  const raw = await hub.rawAgent();
  if (registered) {
    const node = { nodeId: `fuzzed-${++agents}`, hostname: 'fuzzed' };
    const instanceId = 'f7a9b5a4-3c0e-4d5e-9a53-0f9b7b3b8b11';
    raw.write(frame(OPCODE.text, JSON.stringify({ type: 'register', protocol: 1, instanceId, node })));
    await raw.nextFrame();
  }
  for (const each of writes) raw.write(each);
  if (how === 'reset') raw.reset();
  else if (how === 'end') raw.socket.end();
  else if (how === 'close') raw.write(closeFrame(1000));
  else raw.write(frame(OPCODE.ping, 'the end'));
  await untilRead(raw);
  raw.destroy();
}

/** Until the last ping is answered or the session has ended. A hub that waits for the rest of a frame does neither. */
async function untilRead(raw: RawSocket): Promise<void> {
  raw.socket.end();
  for (;;) {
    const received = await raw.nextFrame().catch(() => undefined);
    if (!received || received.opcode === OPCODE.close) return;
    if (received.opcode === OPCODE.pong && String(received.payload) === 'the end') return;
  }
}

test('[LIM-26] random frames end at most the session that they came on', async () => {
  const watched = await withBystander(await hubs.start());
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(bytes, { maxLength: 12 }),
      end,
      async (registered, writes, how) => {
        await fuzz(watched.hub, registered, writes, how);
        expect(watched.bystander.open).toBe(true);
      },
    ),
    fuzzing(300),
  );
  await expectUnharmed(watched);
  expect(watched.hub.logged('A session failed')).toEqual([]);
});
