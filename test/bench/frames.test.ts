import { describe, expect, it } from 'vitest';
import { readRetryAfter } from '../../bench/load/agent-dialects.ts';
import { FrameReader } from '../../bench/load/frames.ts';
import { eachMarker, marker } from '../../bench/load/marker.ts';
import { connectPacket, PACKET, PacketReader, publishPacket, readPublish } from '../../bench/load/mqtt.ts';
import { textFrame } from '../../simulate/frames.ts';
import { frame, OPCODE } from '../support/raw-socket.ts';

/** Everything that a reader hears, whatever the chunks. */
function heard(bytes: Buffer, size: number): string[] {
  const said: string[] = [];
  const reader = new FrameReader({
    text: (payload) => said.push(`text ${payload.toString().slice(0, 5)} ${payload.length}`),
    pongs: (count) => said.push(...Array.from({ length: count }, () => 'pong')),
    closing: (payload) => said.push(`close ${payload.readUInt16BE(0)}`),
    binary: (payload) => said.push(`binary ${payload.length}`),
  });
  for (let at = 0; at < bytes.length; at += size) {
    // The load reads into one buffer for all sockets: what was passed is overwritten by the next chunk.
    const chunk = Buffer.from(bytes.subarray(at, at + size));
    reader.push(chunk);
    chunk.fill(0xff);
  }
  return said.sort();
}

describe('the frames of the load', () => {
  const unmasked = (opcode: number, payload: Buffer | string) => frame(opcode, payload, { masked: false });
  const bytes = Buffer.concat([
    unmasked(OPCODE.pong, ''),
    unmasked(OPCODE.text, 'hello'),
    unmasked(OPCODE.text, 'm'.repeat(300)),
    unmasked(OPCODE.pong, ''),
    unmasked(OPCODE.binary, Buffer.alloc(70_000)),
    unmasked(OPCODE.close, Buffer.from([0x03, 0xf5])),
  ]);

  it.each([1, 2, 3, 7, 1_000, 100_000])('are read whole from chunks of %i bytes', (size) => {
    expect(heard(bytes, size)).toEqual([
      'binary 70000',
      'close 1013',
      'pong',
      'pong',
      'text hello 5',
      'text mmmmm 300',
    ]);
  });

  it.each([10, 300, 70_000])('carry text of %i bytes masked', (length) => {
    const text = 'x'.repeat(length);
    const sent = textFrame(text);
    const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
    const mask = sent.subarray(head, head + 4);
    const payload = sent.subarray(head + 4).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
    expect(payload.toString()).toBe(text);
  });

  it('find each marker in the text around it', () => {
    const found: number[] = [];
    const text = `[{"detail":"disk: ${marker(1_234.56)}"},{"detail":"@atnonsense"},{"detail":"${marker(7)}"}]`;
    eachMarker(Buffer.from(text), (at) => found.push(at));
    expect(found).toEqual([1_234.56, 7]);
  });

  it.each([
    ['HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\n\r\n', 3_000],
    ['HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\n\r\n{"retryAfterMs":2150}', 2_150],
    ['{"retryAfterMs":900}', 900],
    ['HTTP/1.1 401 Unauthorized\r\n\r\n', undefined],
  ])('know how long %j asks to wait', (text, wanted) => {
    expect(readRetryAfter(text)).toBe(wanted);
  });

  it.each([1, 3, 1_000])('are packets of MQTT in chunks of %i bytes', (size) => {
    const sent = Buffer.concat([
      Buffer.from([0xd0, 0x00]),
      publishPacket('fleet/a/status', `degraded ${'y'.repeat(200)}`),
      publishPacket('fleet/b/node', '{}', { retain: true, id: 7 }),
    ]);
    const got: string[] = [];
    const reader = new PacketReader((type, body, flags) => {
      if (type !== PACKET.publish) got.push(`type ${type}`);
      else {
        const { topic, message, id } = readPublish(body, flags);
        got.push(`${topic} ${message.length} ${id?.readUInt16BE(0) ?? '-'}`);
      }
    });
    for (let at = 0; at < sent.length; at += size) reader.push(sent.subarray(at, at + size));
    expect(got).toEqual([`type ${PACKET.pingresp}`, 'fleet/a/status 209 -', 'fleet/b/node 2 7']);
  });

  it('ask a broker for a last will', () => {
    const packet = connectPacket('a', 2, { topic: 't', message: 'offline' });
    expect(packet.toString('latin1')).toContain('MQTT\x04\x06\x00\x02\x00\x01a\x00\x01t\x00\x07offline');
    expect(packet[1]).toBe(packet.length - 2);
  });
});
