import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The folders whose files take longest. Most of them wait, for real time to pass and for processes to start; the model
 * computes meanwhile.
 */
const LONGEST = ['model', 'e2e', 'page', 'cli'];

/** Files of those folders start first, so that the last to run is none that takes a minute. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((folder) => moduleId.includes(`/test/${folder}/`));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/watch-slowness.ts', 'test/support/build.ts'],
    // Sets the timeouts too: they scale with how slow the machine is.
    setupFiles: ['test/support/setup.ts'],
    pool: 'forks',
    // The files of a worker share what they import: to load it anew for each took a third of all the time.
    isolate: false,
    // Two cores are left idle by two files that wait. Vitest's own choice there is one at a time.
    maxWorkers: Math.max(4, availableParallelism() - 1),
    // Tests that may run at once mostly wait: all of a file do.
    maxConcurrency: 10,
    sequence: { sequencer: LongestFirst },
  },
});
