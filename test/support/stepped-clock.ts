import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

let built: string | undefined;
let clocks = 0;

/** The library that is preloaded into processes whose clock is to be set, compiled once. */
function library(): string {
  if (built) return built;
  const dir = mkdtempSync(join(tmpdir(), 'rollcall-clock-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  built = join(dir, 'stepped-clock.so');
  execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', built, 'test/support/stepped-clock.c']);
  return built;
}

/** The clocks of one process, which a test sets while it runs. Only for Linux, and programs that are linked dynamically. */
export class SteppedClock {
  /** The environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: number;

  constructor(wallMs = 0) {
    const so = library();
    clocks += 1;
    const path = join(dirname(so), `steps-${clocks}`);
    this.#file = openSync(path, 'w');
    this.env = { LD_PRELOAD: so, STEPPED_CLOCK: path };
    this.#write(0, 0);
    this.#write(8, 0);
    this.wall(wallMs);
  }

  /** The wall clock goes so far ahead of the machine's; negative: behind it. */
  wall(aheadMs: number): void {
    this.#write(0, aheadMs);
  }

  /** The monotonic clock stood still for so long in all: the machine slept. */
  slept(ms: number): void {
    this.#write(8, -ms);
  }

  #write(at: number, ms: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(ms));
    writeSync(this.#file, bytes, 0, 8, at);
  }
}
