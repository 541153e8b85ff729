import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';

const run = promisify(execFile);
const node = (...args: string[]) => run(process.execPath, args);

/**
 * What the tests start is what users run, and the page is tested as it is served: both are built, where what is
 * there is older than its sources.
 */
export default async function build(project: TestProject): Promise<void> {
  await buildAll();
  project.onTestsRerun(buildAll);
}

async function buildAll(): Promise<void> {
  await Promise.all([buildProgram(), node('scripts/build-page.mjs')]);
}

/** Types are checked by `npm run typecheck`: tests can be run while they do not hold yet. */
async function buildProgram(): Promise<void> {
  await node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--noCheck');
  await node('scripts/copy-lua.mjs');
}
