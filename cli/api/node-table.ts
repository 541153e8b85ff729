import stringWidth from 'string-width';
import { printable } from '../../shared/index.ts';
import { byHostname, type Report, type ShownNode } from '../watch/report.ts';
import { ageOf } from '../watch/times.ts';
import type { Io } from './api-client.ts';
import type { Row } from './select.ts';

interface Column {
  head: string;
  /** The field of a node that it shows; the id is always there. */
  field?: string;
  text(row: Row, now: number): string | null | undefined;
}

const STATUS: Column = {
  head: 'STATUS',
  field: 'status',
  text: (row) => (row.removed === true ? 'removed' : row.status),
};
const HOSTNAME: Column = { head: 'HOSTNAME', field: 'hostname', text: ({ hostname }) => hostname };
const ID: Column = { head: 'ID', text: ({ id }) => id };
const KIND: Column = { head: 'KIND', field: 'kind', text: ({ kind }) => kind };
const LOCATION: Column = { head: 'LOCATION', field: 'location', text: ({ location }) => location };
const AGE: Column = {
  head: 'AGE',
  field: 'statusSince',
  text: ({ statusSince }, now) => statusSince && ageOf(statusSince, now),
};
const REASON: Column = { head: 'REASON', field: 'reason', text: ({ reason }) => reason };
const NARROW: readonly Column[] = [STATUS, HOSTNAME, ID, KIND, LOCATION, AGE, REASON];
const WIDE: readonly Column[] = [
  ...NARROW,
  {
    head: 'LAST BEAT',
    field: 'lastHeartbeatAt',
    text: ({ lastHeartbeatAt }, now) => lastHeartbeatAt && ageOf(lastHeartbeatAt, now),
  },
  { head: 'ADDRESS', field: 'address', text: ({ address }) => address },
  { head: 'VERSION', field: 'agent', text: ({ agent }) => agent?.version },
  { head: 'HUB', field: 'hubId', text: ({ hubId }) => hubId },
  { head: 'LABELS', field: 'labels', text: ({ labels = {} }) => labelsOf(labels) },
];

/** What is left out first where a terminal is too narrow. */
const DISPENSABLE: readonly Column[] = [LOCATION, KIND, REASON, ID];
/** The beginning of an id that is still shown: commands take it. */
const SHORT_ID = 9;
const SHORT_HOSTNAME = 12;
const BETWEEN = '  ';

export interface TableShape {
  wide: boolean;
  headers: boolean;
  /** Of the terminal; none where the reader is a program or a file, which gets every value whole. */
  width: number | undefined;
}

/** The fields that a table needs of each node. */
export const fieldsOf = (wide: boolean): string[] =>
  (wide ? WIDE : NARROW).flatMap(({ field }) => (field === undefined ? [] : [field]));

/** Nodes as a table that fits the terminal. A wide one need not: everything was asked for. */
export function nodeTable(rows: readonly Row[], now: number, shape: TableShape): string {
  const layout = layoutOf(rows, now, shape);
  return linesOf(layout, rows, now, shape.headers);
}

interface Fitted {
  column: Column;
  width: number;
}

/** The columns that fit, each as wide as its longest text, or shorter where that makes room for another. */
function layoutOf(rows: readonly Row[], now: number, { wide, width }: TableShape): Fitted[] {
  const room = wide || width === undefined ? Number.POSITIVE_INFINITY : width;
  let shown = (wide ? WIDE : NARROW).map((column): Fitted => {
    const longest = rows.reduce((most, row) => Math.max(most, stringWidth(cellOf(column, row, now))), 0);
    return { column, width: Math.max(column.head.length, longest) };
  });
  const over = (): number =>
    shown.reduce((sum, { width }) => sum + width + BETWEEN.length, -BETWEEN.length) - room;
  const shorten = (column: Column, least: number): void => {
    const fitted = shown.find((one) => one.column === column);
    if (fitted && over() > 0) fitted.width = Math.max(Math.min(fitted.width, least), fitted.width - over());
  };
  shorten(ID, SHORT_ID);
  for (const column of DISPENSABLE)
    if (over() > 0) shown = shown.filter((fitted) => fitted.column !== column);
  shorten(HOSTNAME, SHORT_HOSTNAME);
  return shown;
}

function linesOf(layout: readonly Fitted[], rows: readonly Row[], now: number, headers: boolean): string {
  const line = (text: (column: Column) => string): string =>
    `${layout
      .map(({ column, width }) => padded(text(column), width))
      .join(BETWEEN)
      .trimEnd()}\n`;
  return [
    ...(headers ? [line(({ head }) => head)] : []),
    ...rows.map((row) => line((column) => cellOf(column, row, now))),
  ].join('');
}

/** Safe to print whatever the fleet's nodes call themselves. */
const cellOf = ({ text }: Column, row: Row, now: number): string => printable(text(row, now) || '-');

function padded(text: string, width: number): string {
  let kept = text;
  if (stringWidth(text) > width) {
    while (stringWidth(kept) > width - 1) kept = [...kept].slice(0, -1).join('');
    kept += '…';
  }
  return kept + ' '.repeat(Math.max(0, width - stringWidth(kept)));
}

const labelsOf = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value.replaceAll(',', '\\,')}`)
    .join(',');

/** For `ls --watch`: the table, then a line as in it for each node that changed. */
export function changeReport(io: Pick<Io, 'out' | 'err'>, shape: TableShape): Report {
  let layout: Fitted[] = [];
  const print = (row: Row, now: number): void => {
    // A later value may be longer than those of the first picture; on a terminal it is cut as they are.
    const room = layout.map(({ column, width }) => ({
      column,
      width: shape.width === undefined ? Math.max(width, stringWidth(cellOf(column, row, now))) : width,
    }));
    io.out(linesOf(room, [row], now, false));
  };
  const note = (text: string): void => io.err(`rollcall: ${printable(text)}\n`);
  return {
    snapshot: (nodes) => {
      const rows = nodes.toSorted(byHostname).map((node) => rowOf(node));
      layout = layoutOf(rows, Date.now(), shape);
      io.out(linesOf(layout, rows, Date.now(), shape.headers));
    },
    change: ({ node, to, at }) => print(rowOf(node, to === null), Date.parse(at)),
    differences: (differences) => {
      for (const { before, after } of differences) {
        const node = after ?? before;
        if (node) print(rowOf(node, after === undefined), Date.now());
      }
    },
    hub: ({ state }) => {
      if (state === 'stale') note('the hub has lost sight of its store: what it shows may be old');
    },
    connection: (state, why) =>
      note(`${state === 'lost' ? 'connection lost' : 'cannot connect'} (${why}); trying again`),
    back: () => note('connected again'),
    resync: (reason) => note(`starting over: ${reason}`),
    hole: () => {},
  };
}

const rowOf = (node: ShownNode, removed = false): Row => {
  const hubId = 'connection' in node ? node.connection?.hubId : undefined;
  return { ...node, ...(hubId !== undefined && { hubId }), ...(removed && { removed }) };
};
