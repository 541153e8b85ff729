import { domainToASCII, domainToUnicode } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostnameSearchText, matcher, normalHostname } from '../../shared/index.ts';
import { fuzzing } from '../support/fuzz.ts';

describe('the one spelling of a host name', () => {
  test.each([
    ['web-1', 'web-1'],
    ['WEB-1', 'web-1'],
    ['Web-1.Example.COM.', 'web-1.example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example', 'xn--bcher-kva.example'],
    ['bu\u0308cher.example', 'xn--bcher-kva.example'],
    ['XN--BCHER-KVA.example', 'xn--bcher-kva.example'],
    ['ｗｅｂ。example', 'web.example'],
    ['my_host', 'my_host'],
    ['gpu node 7', 'gpu node 7'],
    ['Café am Eck', 'Café am Eck'],
    ['Cafe\u0301 am Eck', 'Café am Eck'],
    // Not the address that the URL standard makes of them.
    ['0012', '0012'],
    ['0x10', '0x10'],
    ['10.1', '10.1'],
    ['１２', '１２'],
    ['host:80', 'host:80'],
    ['a/b', 'a/b'],
    ['user@host', 'user@host'],
    ['.', '.'],
    ['..', '..'],
    ['web-1..', 'web-1'],
    ['WEB-1...', 'web-1'],
    ['bücher。.', 'xn--bcher-kva'],
    ['rack 7..', 'rack 7'],
    ['xn--', 'xn--'],
  ])('[NAME-1] of %j is %j', (name, normal) => {
    expect(normalHostname(name)).toBe(normal);
    expect(normalHostname(normal)).toBe(normal);
  });

  // What parsers of host names treat as something else: dots of all kinds, numbers, A-labels, what is left out or refused.
  const oddParts = [
    '.',
    '..',
    '。',
    '．',
    '｡',
    'xn--',
    'XN--',
    'bcher-kva',
    'ü',
    'u\u0308',
    'ß',
    'ẞ',
    'İ',
    'Σ',
    'ς',
  ].concat(
    [
      '\u00ad',
      '\u200d',
      '\u200c',
      '\u0001',
      '\u0301',
      '-',
      '--',
      '_',
      ' ',
      '\t',
      '0',
      '7',
      '0x',
      '0x1f',
      'A',
      'web',
      '１',
    ],
    [
      '℀',
      '﷼',
      '½',
      'Ⅷ',
      '\ud800',
      '%41',
      '&',
      '!',
      '$',
      "'",
      '(',
      ';',
      '=',
      '`',
      '{',
      '~',
      '@',
      ':',
      '/',
      '[',
      '\u05d0',
    ],
  );
  test.each([
    ['of any characters', fc.string({ unit: 'binary', minLength: 1 })],
    ['of any text', fc.string({ unit: 'grapheme', minLength: 1 })],
    [
      'of what looks like a name',
      fc.string({ unit: fc.constantFrom(...oddParts), minLength: 1, maxLength: 8 }),
    ],
  ])('[NAME-1] is its own, %s', (_what, names) => {
    fc.assert(
      fc.property(names, (name) => {
        const normal = normalHostname(name);
        expect(normalHostname(normal)).toBe(normal);
        expect(normal).not.toBe('');
      }),
      fuzzing(5_000),
    );
  });

  test('[NAME-4] labels are decoded as the platform decodes them', () => {
    const label = fc.stringMatching(/^[a-zäöüßéçñøåœžščđğ漢字かな한글абвгд]{1,12}$/u);
    fc.assert(
      fc.property(label, (name) => {
        const ascii = domainToASCII(name);
        if (!ascii.startsWith('xn--')) return;
        expect(hostnameSearchText(ascii)).toContain(domainToUnicode(ascii));
      }),
      fuzzing(500),
    );
    for (const odd of ['xn--', 'xn--a', 'xn--99999999', 'xn--zzzzzzzzzzzzzzzz-9', 'xn---']) {
      expect(hostnameSearchText(odd)).toContain(odd);
    }
  });
});

test.each([
  ['bücher', 'xn--bcher-kva.example', true],
  ['BÜCH', 'xn--bcher-kva.example', true],
  ['bu\u0308ch', 'xn--bcher-kva', true],
  ['xn--bcher', 'bücher.example', true],
  ['büch', 'bu\u0308cher', true],
  ['WEB', 'web-1', true],
  ['web-1.', 'WEB-1', true],
  ['web-2', 'web-1', false],
])('[NAME-4] the search for %j finds %j: %j', (q, hostname, found) => {
  const node = { id: 'n-1', hostname, labels: {}, pools: [], status: 'online' as const };
  expect(matcher({ q })(node)).toBe(found);
});
