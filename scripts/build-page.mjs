// Builds the page into dist/dashboard, and beside each file its gzip and brotli. Does nothing where what is there
// is newer than all that it is made of, so that a start stays quick.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = join(import.meta.dirname, '..');
const out = join(root, 'dist/dashboard');
const sources = ['dashboard', 'client', 'shared', 'package-lock.json', 'scripts/build-page.mjs'];

const files = (path) =>
  statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => files(join(path, name))) : [path];

/** When the youngest of these files was changed; 0 where there are none. */
function newest(paths) {
  const times = paths.flatMap((path) => files(join(root, path))).map((path) => statSync(path).mtimeMs);
  return Math.max(0, ...times);
}

/** When the last build was finished; 0 where there is none. Its mark is written last. */
function builtAt() {
  try {
    return statSync(join(out, 'built')).mtimeMs;
  } catch {
    return 0;
  }
}

if (!process.argv.includes('--force') && builtAt() > newest(sources)) process.exit(0);

const { build } = await import('vite');
await build({ configFile: join(root, 'dashboard/vite.config.ts'), logLevel: 'warn' });
for (const path of files(out)) {
  if (!/\.(js|css|html|svg)$/.test(path)) continue;
  const content = readFileSync(path);
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
  writeFileSync(
    `${path}.br`,
    brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
  );
}
writeFileSync(join(out, 'built'), '');
