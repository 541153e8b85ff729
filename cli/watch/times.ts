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
