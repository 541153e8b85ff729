import Table from 'cli-table3';
import { stringify } from 'yaml';
import { printable } from '../watch/printable.ts';

export interface FormatFlags {
  json?: boolean;
  yaml?: boolean;
}

/** For programs as JSON or YAML where that was asked for, else for people. */
export function format(flags: FormatFlags, value: unknown, people: () => string): string {
  if (flags.json) return `${JSON.stringify(value, null, 2)}\n`;
  if (flags.yaml) return stringify(value);
  return people();
}

const plain = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };
const none = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' };
const edges = { 'bottom-left': '', 'bottom-right': '', left: '', right: '', middle: '  ' };

/** A table without lines, safe to print whatever the fleet's nodes call themselves. */
export function table(head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const made = new Table({
    head: [...head],
    chars: { ...plain, ...none, ...edges },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) made.push(row.map(printable));
  return `${made.toString().replaceAll(/ +$/gm, '')}\n`;
}
