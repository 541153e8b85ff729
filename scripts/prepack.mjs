// Before `npm pack` and `npm publish`: builds the program afresh, so that nothing of an older build goes along, and puts
// the lock file beside it as npm-shrinkwrap.json. npm reads that one at the place where the package is installed, so the
// same versions run there as were tested here. `postpack` takes it away again.
import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
rmSync(join(root, 'dist'), { recursive: true, force: true });
// Its own words go to stderr: the last line of stdout is the name of the tarball.
execFileSync('npm', ['run', 'build'], { cwd: root, stdio: ['ignore', process.stderr, process.stderr] });
copyFileSync(join(root, 'package-lock.json'), join(root, 'npm-shrinkwrap.json'));
