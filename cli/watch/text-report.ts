import { styleText } from 'node:util';
import Table from 'cli-table3';
import stringWidth from 'string-width';
import { type DashboardEvent, printable, STATUSES, type Status } from '../../shared/index.ts';
import { describeReason, describeType } from './describe.ts';
import {
  byHostname,
  countByStatus,
  type Difference,
  type Output,
  type Report,
  type ShownNode,
} from './report.ts';
import { clockTime, sinceTime } from './times.ts';

const looks = {
  online: { symbol: '●', style: 'green' },
  degraded: { symbol: '◐', style: 'yellow' },
  unreachable: { symbol: '○', style: 'magenta' },
  offline: { symbol: '✕', style: 'red' },
} as const;

const HEADS = ['STATUS', 'HOSTNAME', 'ID', 'KIND', 'LOCATION', 'SINCE', 'REASON'] as const;
type Head = (typeof HEADS)[number];
/** What is left out first. */
const DISPENSABLE: readonly Head[] = ['LOCATION', 'KIND', 'ID', 'REASON', 'SINCE'];

/** Rows of the first table; a larger fleet is told by its counts and its troubles. */
const TABLE_ROWS = 200;

const plainChars = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', right: '', 'right-mid': '', mid: '', 'mid-mid': '', middle: '  ' },
};

/** Tells everything to people: a table first, then a line for each change. */
export class TextReport implements Report {
  readonly #output: Output;
  readonly #now: () => string;
  #hub: 'live' | 'stale' | undefined;
  #unreachable: string | undefined;

  constructor(output: Output, now: () => string = () => new Date().toISOString()) {
    this.#output = output;
    this.#now = now;
  }

  snapshot(nodes: readonly ShownNode[]): void {
    const shown = nodes.toSorted(byHostname);
    if (shown.length === 0) {
      this.#line('No node matches yet.');
      return;
    }
    const rows = shown.slice(0, TABLE_ROWS);
    this.#line(this.#table(rows));
    if (rows.length < shown.length) this.#line(this.#dim(`… and ${shown.length - rows.length} more`));
    this.#line(this.#summary(shown));
  }

  change(event: DashboardEvent, before: ShownNode | undefined): void {
    const what = describeType(event);
    const why = describeReason(event.reason, event.evidence);
    const text = printable(what === undefined ? why : `${what}: ${why}`);
    this.#line(
      `${clockTime(event.at)}  ${name(event.node)}  ${this.#move(event.from ?? before?.status, event.to)}  ${text}`,
    );
  }

  differences(differences: readonly Difference[], total: number): void {
    this.#note(
      differences.length === 0
        ? `a new picture of ${total} nodes: nothing is different`
        : `a new picture of ${total} nodes; this is different, the changes between may not all be shown:`,
    );
    for (const { before, after } of differences) {
      const node = after ?? before;
      if (!node) continue;
      const since = after
        ? describeReason(after.reason, 'evidence' in after ? after.evidence : {})
        : 'is gone';
      this.#line(
        `${clockTime(after?.statusSince ?? this.#now())}  ${name(node)}  ${this.#move(before?.status, after?.status ?? null)}  ${printable(since)}`,
      );
    }
  }

  hub({ state, since }: { state: 'live' | 'stale'; since: string }): void {
    if (state === this.#hub) return;
    const first = this.#hub === undefined;
    this.#hub = state;
    if (state === 'stale') {
      this.#note(`the hub has lost sight of its store since ${clockTime(since)}: what it shows may be old`);
    } else if (!first) {
      this.#note('the hub sees its store again');
    }
  }

  connection(state: 'lost' | 'unreachable', why: string): void {
    const text = `${state === 'lost' ? 'connection lost' : 'cannot connect'} (${printable(why)}); trying again`;
    // The same failure again and again is one line.
    if (this.#unreachable === text) return;
    this.#unreachable = text;
    this.#note(text);
  }

  back({ resumed }: { resumed: boolean }): void {
    this.#unreachable = undefined;
    this.#note(resumed ? 'connected again; what was missed follows' : 'connected again');
  }

  resync(reason: string): void {
    this.#note(`starting over: ${printable(reason)}`);
  }

  hole(): void {
    // The resync that follows says it.
  }

  #line(text: string): void {
    this.#output.write(`${text}\n`);
  }

  #note(text: string): void {
    this.#line(this.#dim(`${clockTime(this.#now())}  -- ${text}`));
  }

  /** A terminal that is too narrow gets fewer columns. */
  #table(nodes: readonly ShownNode[]): string {
    const { columns = Number.POSITIVE_INFINITY } = this.#output;
    let heads: readonly Head[] = HEADS;
    let text = this.#drawn(nodes, heads);
    for (const head of DISPENSABLE) {
      if (text.split('\n').every((line) => stringWidth(line) <= columns)) break;
      heads = heads.filter((one) => one !== head);
      text = this.#drawn(nodes, heads);
    }
    return text;
  }

  #drawn(nodes: readonly ShownNode[], heads: readonly Head[]): string {
    const table = new Table({
      head: [...heads],
      chars: plainChars,
      style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    });
    for (const node of nodes) {
      const cells: Record<Head, string> = {
        STATUS: this.#status(node.status),
        HOSTNAME: printable(node.hostname),
        ID: printable(node.id),
        KIND: printable(node.kind ?? ''),
        LOCATION: printable(node.location ?? ''),
        SINCE: sinceTime(node.statusSince, this.#now()),
        REASON: node.reason,
      };
      table.push(heads.map((head) => cells[head]));
    }
    return table
      .toString()
      .split('\n')
      .map((row) => row.trimEnd())
      .join('\n');
  }

  #summary(nodes: readonly ShownNode[]): string {
    const counts = countByStatus(nodes);
    const parts = STATUSES.map((status) => this.#styled(status, `${counts[status]} ${status}`));
    return `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}: ${parts.join(', ')}`;
  }

  #move(from: Status | null | undefined, to: Status | null): string {
    const after = to === null ? this.#dim('removed') : this.#status(to);
    if (from === to || from === undefined || from === null) return after;
    return `${this.#status(from)} → ${after}`;
  }

  #status(status: Status): string {
    return this.#styled(status, `${looks[status].symbol} ${status}`);
  }

  #styled(status: Status, text: string): string {
    return this.#output.colour ? styleText(looks[status].style, text, { validateStream: false }) : text;
  }

  #dim(text: string): string {
    return this.#output.colour ? styleText('dim', text, { validateStream: false }) : text;
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A node in a line: its hostname, and its id where one was chosen. */
function name({ hostname, id }: ShownNode): string {
  return printable(id === hostname || uuid.test(id) ? hostname : `${hostname} (${id})`);
}
