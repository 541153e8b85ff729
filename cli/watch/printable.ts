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

const DAY_MS = 86_400_000;

/** When something began, seen from `now`: the time within a day, else the date. */
export function sinceTime(instant: string, now: string): string {
  const at = new Date(instant);
  if (!(new Date(now).getTime() - at.getTime() >= DAY_MS)) return clockTime(instant);
  const month = String(at.getMonth() + 1).padStart(2, '0');
  return `${at.getFullYear()}-${month}-${String(at.getDate()).padStart(2, '0')}`;
}
