import { isIP, isIPv4 } from 'node:net';
import { UsageError } from '../usage-error.ts';

const MOST = 256;

const numberOf = (address: string): number =>
  address.split('.').reduce((number, part) => number * 256 + Number(part), 0);
const addressOf = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');

/** `127.0.0.2-127.0.0.9`, a comma list, or both: the addresses to connect from. Throws `UsageError`. */
export function sourceAddresses(text: string): string[] {
  const all = text.split(',').flatMap((part) => range(part.trim()));
  if (all.length > MOST) throw new UsageError(`--from: at most ${MOST} addresses`);
  return all;
}

function range(text: string): string[] {
  const [first = '', last, more] = text.split('-');
  if (last === undefined && isIP(first) !== 0) return [first];
  const size = last === undefined ? 0 : numberOf(last) - numberOf(first) + 1;
  if (last === undefined || more !== undefined || !isIPv4(first) || !isIPv4(last) || size < 1) {
    throw new UsageError(
      `--from: ${JSON.stringify(text)} is no address and no range such as 127.0.0.2-127.0.0.9`,
    );
  }
  if (size > MOST) throw new UsageError(`--from: at most ${MOST} addresses`);
  return Array.from({ length: size }, (_, index) => addressOf(numberOf(first) + index));
}
