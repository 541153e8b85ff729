import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';

/** Memory that this process uses, and its limits, in bytes. */
export interface Memory {
  heapUsed: number;
  /** The limit of V8; beyond it the process ends. */
  heapLimit: number;
  resident: number;
  /** The limit of the machine, or of the container that the process runs in; beyond it the kernel ends the process. */
  residentLimit: number;
}

/** Beyond these parts of a limit memory is short. Resident memory falls late: freed memory is kept for a while. */
const HEAP_SHORT = 0.85;
const RESIDENT_SHORT = 0.92;

/** Bytes that all readers together may leave unread: this part of the smaller limit, within bounds. */
const UNREAD_PART = 1 / 8;
const LEAST_UNREAD_BYTES = 32 * 1024 * 1024;
const MOST_UNREAD_BYTES = 256 * 1024 * 1024;

/** The current figures. A system call each: not for a hot path. */
export function memoryNow(): Memory {
  const { used_heap_size: heapUsed, heap_size_limit: heapLimit } = getHeapStatistics();
  // 0, or more than the machine has, where no container limits it.
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  const residentLimit = Math.min(constrained, totalmem());
  return { heapUsed, heapLimit, resident: process.memoryUsage.rss(), residentLimit };
}

export function isShort({ heapUsed, heapLimit, resident, residentLimit }: Memory): boolean {
  return heapUsed > HEAP_SHORT * heapLimit || resident > RESIDENT_SHORT * residentLimit;
}

/** Bytes that readers together may leave unread. */
export function unreadBudgetOf({ heapLimit, residentLimit }: Memory): number {
  const part = Math.floor(Math.min(heapLimit, residentLimit) * UNREAD_PART);
  return Math.min(Math.max(part, LEAST_UNREAD_BYTES), MOST_UNREAD_BYTES);
}
