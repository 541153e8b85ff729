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

/** How long ago an instant was, roughly: `45s`, `6m`, `5h`, `12d`. */
export function ageOf(instant: string, now: number): string {
  const seconds = Math.max(0, Math.floor((now - new Date(instant).getTime()) / 1_000));
  if (!(seconds >= 60)) return `${seconds || 0}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 48 * 3_600) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
