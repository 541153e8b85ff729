import type { Row } from '../harness/row.ts';
import { cpu } from './cpu.ts';
import { heartbeats } from './heartbeats.ts';
import { memory } from './memory.ts';
import { resets } from './resets.ts';
import { silence } from './silence.ts';
import { storm } from './storm.ts';

/** Every row of the bench, in the order of its report. */
export const ROWS: readonly Row[] = [memory, heartbeats, cpu, resets, silence, storm];
