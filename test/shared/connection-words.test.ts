import { describe, expect, it } from 'vitest';
import { connectionWords, isTlsProblem } from '../../shared/index.ts';

const coded = (code: string, message = 'raw text') => Object.assign(new Error(message), { code });

describe('a connection that could not be made', () => {
  it.each([
    [coded('ECONNREFUSED'), 'nothing listens there (ECONNREFUSED)'],
    [new Error('fetch failed', { cause: coded('ENOTFOUND') }), 'there is no host of that name (ENOTFOUND)'],
    [
      new Error('fetch failed', { cause: new AggregateError([coded('ENETUNREACH'), coded('ECONNREFUSED')]) }),
      'nothing listens there (ECONNREFUSED)',
    ],
    [coded('CERT_HAS_EXPIRED'), 'its certificate has expired (CERT_HAS_EXPIRED)'],
    [coded('EODD', 'something new'), 'something new'],
    [coded('EODD', ''), 'EODD'],
    [new Error('plain'), 'plain'],
    ['a text', 'a text'],
  ])('%# is told in words', (error, words) => {
    expect(connectionWords(error)).toBe(words);
  });

  it('says which ports clients refuse', async () => {
    const error: unknown = await fetch('http://127.0.0.1:6000').catch((thrown: unknown) => thrown);
    expect(connectionWords(error)).toMatch(/refuse this port; give the hub another one/);
  });

  it('may be a matter of TLS, which trying again does not mend', () => {
    expect(isTlsProblem(new Error('x', { cause: coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE') }))).toBe(true);
    expect(isTlsProblem(coded('ECONNREFUSED'))).toBe(false);
    expect(isTlsProblem('text')).toBe(false);
  });

  it('is told where its causes go in a circle', () => {
    const circle = new Error('round');
    circle.cause = circle;
    expect(connectionWords(circle)).toBe('round');
  });
});
