import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeAgentMessage } from '../../server/agents/decode.ts';
import { hubMessageSchema, nodeSchema, statsSchema } from '../../shared/index.ts';
import { fuzzing, messageText } from '../support/fuzz.ts';

const decode = (text: string) => decodeAgentMessage(Buffer.from(text));

describe('decoding what agents send', () => {
  test('[LIM-25] whatever comes is a message or an answer that the protocol knows; it never throws', () => {
    const types = new Set<string>();
    fc.assert(
      fc.property(messageText, (text) => {
        const decoded = decode(text);
        types.add(decoded.type);
        if (decoded.type === 'bad') {
          const { type: _, ...rest } = decoded;
          hubMessageSchema.parse({ type: 'error', ...rest });
          expect(JSON.stringify(decoded).length).toBeLessThan(4_000);
        } else if (decoded.type === 'stats') {
          // What is stored as text must be read back as it is.
          expect(statsSchema.parse(JSON.parse(JSON.stringify(decoded.stats)))).toEqual(decoded.stats);
        } else if (decoded.type === 'register') {
          expect(JSON.parse(JSON.stringify(decoded.node))).toEqual(decoded.node);
          nodeSchema.pick({ hostname: true, labels: true, metadata: true }).parse(decoded.node);
        }
      }),
      fuzzing(2_000),
    );
    // The generator reaches every kind of outcome, or it proves nothing.
    expect([...types].sort()).toEqual(['bad', 'deregister', 'register', 'stats']);
  });

  test('[LIM-25] bytes that are no text are no message', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeAgentMessage(Buffer.from(bytes)).type).toBe('bad');
      }),
      fuzzing(500),
    );
  });

  test('an object inherits nothing: a type on the prototype is none', () => {
    expect(decode('{"__proto__":{"type":"deregister"}}')).toMatchObject({ type: 'bad', code: 'bad_json' });
  });
});
