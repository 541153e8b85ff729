/** A time in the text of a change, of fixed width, so that a dashboard finds it without reading the JSON around it. */
const START = Buffer.from('@at');
const DIGITS = 14;

/** `at` in milliseconds of `sharedNow`, kept to hundredths. */
export function marker(at: number): string {
  return `@at${String(Math.round(at * 100)).padStart(DIGITS, '0')}`;
}

/** Calls back with the time of each marker in the bytes. */
export function eachMarker(bytes: Buffer, found: (at: number) => void): void {
  for (let at = bytes.indexOf(START); at >= 0; at = bytes.indexOf(START, at + START.length + DIGITS)) {
    const digits = bytes.toString('latin1', at + START.length, at + START.length + DIGITS);
    if (/^\d{14}$/.test(digits)) found(Number(digits) / 100);
  }
}
