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
    ['xn--', 'xn--'],
  ])('[NAME-1] of %j is %j', (name, normal) => {
    expect(normalHostname(name)).toBe(normal);
    expect(normalHostname(normal)).toBe(normal);
  });

  test('[NAME-1] is its own, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
        const normal = normalHostname(name);
        expect(normalHostname(normal)).toBe(normal);
        expect(normal).not.toBe('');
      }),
      fuzzing(500),
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
