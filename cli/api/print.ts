import Table from 'cli-table3';
import { type Command, Option } from 'commander';
import { Document, visit } from 'yaml';
import { printable, printableLines } from '../../shared/index.ts';
import { CommandFailure, EXIT } from './failure.ts';

export interface FormatFlags {
  json?: boolean;
  yaml?: boolean;
}

/** The flags of the formats, one of which may be asked for. */
export const withFormat = (command: Command): Command =>
  command.addOption(new Option('--json', 'as JSON').conflicts('yaml')).option('--yaml', 'as YAML');

/** For programs as JSON or YAML where that was asked for, else for people. Throws a `CommandFailure`. */
export function format(flags: FormatFlags, value: unknown, people: () => string): string {
  try {
    return formatted(flags, value, people);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CommandFailure(EXIT.unreachable, 'the answer of the hub nests too deep to be shown');
  }
}

function formatted(flags: FormatFlags, value: unknown, people: () => string): string {
  if (flags.json) return printableLines(`${JSON.stringify(value, null, 2)}\n`);
  if (flags.yaml) return yaml(value);
  return people();
}

/** As YAML: a text that is not printable is quoted, since only there an escape is one. */
function yaml(value: unknown): string {
  const document = new Document(value);
  visit(document, {
    Scalar(_, scalar) {
      const { value: text } = scalar;
      if (typeof text === 'string' && printableLines(text) !== text) scalar.type = 'QUOTE_DOUBLE';
    },
  });
  return printableLines(document.toString());
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
  for (const row of rows) made.push(row.map((text) => printable(text)));
  return `${made.toString().replaceAll(/ +$/gm, '')}\n`;
}
