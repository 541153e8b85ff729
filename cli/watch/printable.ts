/**
 * C0 and C1 control characters, and the marks that turn the direction of text: what comes from the fleet must
 * not be able to move the cursor, colour the rest or hide what it says.
 */
const unprintable = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/** Text from the fleet as a terminal may show it. */
export function printable(text: string): string {
  return text.replace(unprintable, '');
}

/** The wall-clock time of an instant, here: `12:02:50`. */
export function clockTime(instant: string): string {
  const at = new Date(instant);
  return Number.isNaN(at.getTime()) ? '--:--:--' : at.toTimeString().slice(0, 8);
}
