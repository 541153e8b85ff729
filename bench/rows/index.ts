import type { Row } from '../harness/row.ts';
import { cpu } from './cpu.ts';
import { fanout } from './fanout.ts';
import { heartbeats } from './heartbeats.ts';
import { http } from './http.ts';
import { hubs } from './hubs.ts';
import { memory } from './memory.ts';
import { picture } from './picture.ts';
import { resets } from './resets.ts';
import { silence } from './silence.ts';
import { storm } from './storm.ts';
import { takeover } from './takeover.ts';

/** Every row of the bench, in the order of its report. */
export const ROWS: readonly Row[] = [
  memory,
  heartbeats,
  cpu,
  resets,
  silence,
  storm,
  takeover,
  fanout,
  picture,
  hubs,
  http,
];
