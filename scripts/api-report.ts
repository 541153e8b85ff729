// Writes docs/api/*.api.md: what the package exports, as declarations without their comments. test/docs compares them.
// Run it by `npm run api` after a change of the public surface, and look at the difference.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';

const root = join(import.meta.dirname, '..');

const entrySchema = z.union([z.string(), z.object({ types: z.string() })]);
const packageSchema = z.object({ exports: z.record(z.string(), entrySchema) });

/** The entries of the package that have types: `./agent` and their declarations. */
export function publicEntries(): Array<{ name: string; types: string }> {
  const { exports } = packageSchema.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  return Object.entries(exports).flatMap(([name, entry]) =>
    typeof entry === 'string' ? [] : [{ name: name.replace('./', ''), types: join(root, entry.types) }],
  );
}

/** Where the report of an entry stands. */
export const reportPath = (name: string): string => join(root, `docs/api/${name}.api.md`);

/** The report of an entry, made of the declarations in `dist/`. */
export function apiReport({ name, types }: { name: string; types: string }): string {
  const exported = [...exportsOf(types)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const parts = exported.map(([publicName, declaration]) => `// ${publicName}\n${declaration}`);
  return [
    `# rollcall/${name}`,
    '',
    `What the package exports under this name. Written by \`npm run api\`; do not edit it.`,
    '',
    '```ts',
    parts.join('\n\n'),
    '```',
    '',
  ].join('\n');
}

/** The declaration of each name that a module exports, also of those that it exports again. */
function exportsOf(path: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const statement of statementsOf(readFileSync(path, 'utf8'))) {
    const again = /^export (?:type )?\{([^}]*)\} from '([^']+)';$/.exec(statement.replaceAll('\n', ' '));
    if (again) {
      const [, names = '', from = ''] = again;
      const others = exportsOf(declarationsOf(path, from));
      for (const item of names.split(',')) {
        const [name = '', publicName = name] = item
          .trim()
          .replace(/^type /, '')
          .split(' as ');
        if (name === '') continue;
        const declaration = others.get(name);
        if (declaration === undefined)
          throw new Error(`${relative(root, path)} exports ${name}, which ${from} does not declare`);
        found.set(publicName, declaration);
      }
      continue;
    }
    const all = /^export \* from '([^']+)';$/.exec(statement);
    if (all) for (const [name, text] of exportsOf(declarationsOf(path, all[1] ?? ''))) found.set(name, text);
    const own = /^export (?:declare )?(?:abstract )?(?:const|class|function|interface|type) (\w+)/.exec(
      statement,
    );
    if (own) found.set(own[1] ?? '', statement.replace(/^export (?:declare )?/, ''));
  }
  return found;
}

const declarationsOf = (path: string, from: string): string =>
  join(dirname(path), from.replace(/\.(?:ts|js)$/, '.d.ts'));

/** The statements of a file of declarations, without comments: each begins at the margin. */
function statementsOf(text: string): string[] {
  const lines = withoutComments(text)
    .split('\n')
    .filter((line) => line.trim() !== '');
  const statements: string[] = [];
  for (const line of lines) {
    if (/^(?:export|import|declare|type|interface|const) /.test(line)) statements.push(line);
    else if (statements.length > 0) statements.push(`${statements.pop()}\n${line}`);
  }
  return statements;
}

/** Comments of declarations stand between strings that hold no `/*`. */
const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');

if (process.argv[1] === import.meta.filename) {
  mkdirSync(join(root, 'docs/api'), { recursive: true });
  for (const entry of publicEntries()) writeFileSync(reportPath(entry.name), apiReport(entry));
}
