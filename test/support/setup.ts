import { inject, vi } from 'vitest';
import './end-with-runner.ts';
import { budget, setSlowness } from './budget.ts';

setSlowness(inject('slowness'));
vi.setConfig({ testTimeout: budget(60_000), hookTimeout: budget(60_000) });
