import { printable, printableLines } from '../../shared/index.ts';
import type { Row } from '../store/rows.ts';

/** Rows as JSON, one below the other. */
export const rowsAsJson = (rows: Iterable<Row>): string => printableLines(JSON.stringify([...rows], null, 2));

const FIELDS = [
  'status',
  'statusSince',
  'reason',
  'hostname',
  'id',
  'kind',
  'location',
  'address',
  'hubId',
] as const;

/** A value as a field of CSV (RFC 4180). One that a spreadsheet would run as a formula gets an apostrophe. */
function field(value: string): string {
  const text = printable(value);
  const safe = /^\s*[=+\-@\uff0b\uff0d\uff1d\uff20]/.test(text) ? `'${text}` : text;
  return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows as CSV with a line of headings. */
export function rowsAsCsv(rows: Iterable<Row>): string {
  const lines = [[...FIELDS, 'labels', 'pools'].join(',')];
  for (const row of rows) {
    const labels = Object.entries(row.labels).map(([key, value]) => `${key}=${value}`);
    const values = [...FIELDS.map((name) => row[name] ?? ''), labels.join(' '), row.pools.join(' ')];
    lines.push(values.map(field).join(','));
  }
  return `${lines.join('\r\n')}\r\n`;
}
