import { describe, expect, test } from 'vitest';
import {
  conditionSchema,
  nodeFactsSchema,
  nodeSchema,
  printable,
  printableLines,
  registerSchema,
  statsSchema,
} from '../../shared/index.ts';
import { fleetNode } from '../support/fixtures.ts';

/** Every kind of character that must not come in. */
const kinds: Array<[string, string]> = [
  ['C0', '\u0000'],
  ['an escape', '\u001b'],
  ['DEL', '\u007f'],
  ['C1', '\u0080'],
  ['the one-character CSI', '\u009b'],
  ['the Arabic letter mark', '\u061c'],
  ['a left-to-right mark', '\u200e'],
  ['a right-to-left mark', '\u200f'],
  ['a line separator', '\u2028'],
  ['a paragraph separator', '\u2029'],
  ['an embedding', '\u202a'],
  ['an override', '\u202e'],
  ['an isolate', '\u2066'],
  ['its end', '\u2069'],
  ['half a surrogate pair', '\ud800'],
];

describe.each(kinds)('[TERM-1] %s', (_name, character) => {
  const text = `a${character}b`;

  test.each<[string, object]>([
    ['hostname', { hostname: text }],
    ['location', { location: text }],
    ['kind', { kind: text }],
    ['address', { address: text }],
    ['machineId', { machineId: text }],
    ['labels', { labels: { zone: text } }],
    ['labels', { labels: { [text]: 'a' } }],
    ['roles', { roles: [text] }],
    ['pools', { pools: [text] }],
    ['agent', { agent: { name: text, version: '1' } }],
    ['capabilities', { capabilities: [text] }],
    ['metadata', { metadata: { a: { b: text } } }],
  ])('is refused in %s', (path, fields) => {
    const read = nodeFactsSchema.safeParse({ hostname: 'h', ...fields });
    expect(read.error?.issues[0]?.path[0]).toBe(path);
  });

  test('is refused in conditions and figures', () => {
    expect(conditionSchema.safeParse({ type: 'disk', status: 'ok', message: text }).success).toBe(false);
    expect(statsSchema.safeParse({ pools: [{ poolId: text, ready: true, slotsFree: 1 }] }).success).toBe(
      false,
    );
    expect(statsSchema.safeParse({ at: text }).success).toBe(false);
  });

  test('[TERM-2] is shown as an escape', () => {
    const shown = `a\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}b`;
    expect(printable(text)).toBe(shown);
    expect(printableLines(text)).toBe(shown);
  });

  test('[TERM-2] leaves JSON what it is', () => {
    const json = printableLines(JSON.stringify({ [text]: [text] }, null, 2));
    expect(json.replaceAll('\n', '')).not.toMatch(
      /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u,
    );
    expect(JSON.parse(json)).toEqual({ [text]: [text] });
  });
});

test('[TERM-1] other scripts, emoji and joiners are text like any other', () => {
  for (const hostname of ['münchen', '東京', 'مرحبا', 'עברית', '👩‍🔧', 'a\u200db'])
    expect(nodeFactsSchema.parse({ hostname })).toMatchObject({ hostname });
});

test('[TERM-1] free JSON may have several lines', () => {
  const metadata = { note: 'one\ttab\r\ntwo lines' };
  const node = { hostname: 'h', metadata };
  expect(nodeFactsSchema.parse(node)).toMatchObject({ metadata });
  expect(registerSchema.shape.node.safeParse({ ...node, metadata: { 'a\nb': 1 } }).success).toBe(false);
});

test('[TERM-2] a client reads what an older hub took in', () => {
  const node = fleetNode({ id: 'n', hostname: 'a\u009bb', location: '\u202e', labels: { zone: '\u0007' } });
  const conditions = [{ type: 'disk', status: 'ok', message: '\u009b' }];
  expect(nodeSchema.parse({ ...node, conditions })).toMatchObject({ hostname: 'a\u009bb', conditions });
});
