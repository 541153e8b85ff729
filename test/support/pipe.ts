import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A pipe of the kernel's, as a shell makes one: a program writes into it, the test reads from it. */
export class Pipe {
  /** For the program that is to write. */
  readonly writeEnd: number;
  readonly #path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'rollcall-pipe-'));
  readonly #open = new Set<number>();
  readonly #readEnd: number;

  constructor() {
    this.#path = join(this.#folder, 'pipe');
    execFileSync('mkfifo', [this.#path]);
    this.#readEnd = this.#openEnd(constants.O_RDONLY | constants.O_NONBLOCK);
    this.writeEnd = this.#openEnd(constants.O_WRONLY);
  }

  /** Nobody reads from now on. */
  closeReadEnd(): void {
    this.#close(this.#readEnd);
  }

  /** Nothing more fits in. */
  fill(): void {
    const end = this.#openEnd(constants.O_WRONLY | constants.O_NONBLOCK);
    const kept = untilRefused(() => writeSync(end, '.'.repeat(4_096)));
    if (kept === 0) throw new Error('nothing fits into the pipe');
    this.#close(end);
  }

  /** What is in it now. */
  drain(): string {
    const chunk = Buffer.alloc(65_536);
    let text = '';
    untilRefused(() => {
      const bytes = readSync(this.#readEnd, chunk);
      text += chunk.toString('utf8', 0, bytes);
      return bytes;
    });
    return text;
  }

  close(): void {
    for (const end of this.#open) this.#close(end);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #openEnd(flags: number): number {
    const end = openSync(this.#path, flags);
    this.#open.add(end);
    return end;
  }

  #close(end: number): void {
    if (this.#open.delete(end)) closeSync(end);
  }
}

/** Moves bytes until there are none or the pipe lets none pass; how many there were. */
function untilRefused(move: () => number): number {
  let moved = 0;
  for (;;) {
    try {
      const bytes = move();
      if (bytes === 0) return moved;
      moved += bytes;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return moved;
      throw error;
    }
  }
}
