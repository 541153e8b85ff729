import { inject, vi } from 'vitest';
import './end-with-runner.ts';
import { budget, setSlowness } from './budget.ts';

setSlowness(inject('slowness'));
// Only against what hangs: whatever a test waits for has a nearer deadline, which grows while the machine is slow.
vi.setConfig({ testTimeout: budget(240_000), hookTimeout: budget(240_000) });
