import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The page is tested as it is served: built, where what is there is older than its sources. */
export default async function buildPage(): Promise<void> {
  await run(process.execPath, ['scripts/build-page.mjs']);
}
