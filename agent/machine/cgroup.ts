import { type Mount, parseMounts } from './mounts.ts';

/** What a machine's own part of its host is confined to, such as a container's. Absent: not confined. */
export interface Confinement {
  memory?: { limitBytes: number; usedBytes: number };
  /** `cpus`: how many processors' time it may use. */
  cpu?: { cpus: number; usedMs: number };
}

type ReadText = (path: string) => Promise<string>;
type Controller = 'memory' | 'cpu' | 'cpuacct';

/** Where a controller's files lie: the folders of this process' cgroup and all above it, the nearest first. */
interface Hierarchy {
  version: 1 | 2;
  folders: string[];
}

/** Reads the limits of this process' cgroup and of those above it, version 1 or 2; the tightest of each counts. */
export class CgroupReader {
  readonly #read: ReadText;

  constructor(read: ReadText) {
    this.#read = read;
  }

  /** Never throws: what cannot be read confines nothing. */
  async confinement(): Promise<Confinement> {
    const [own, first, mounts] = await Promise.all([
      this.#text('/proc/self/cgroup'),
      this.#text('/proc/1/cgroup'),
      this.#text('/proc/self/mountinfo'),
    ]);
    if (own === undefined || mounts === undefined) return {};
    const all = parseMounts(mounts).filter(({ type }) => type === 'cgroup' || type === 'cgroup2');
    const find = (controller: Controller) => hierarchyOf(controller, own, first ?? '', all);
    const [memory, cpu] = await Promise.all([
      this.#memory(find('memory')),
      this.#cpu(find('cpu'), find('cpuacct')),
    ]);
    return { ...(memory && { memory }), ...(cpu && { cpu }) };
  }

  async #memory(hierarchy: Hierarchy | undefined): Promise<Confinement['memory']> {
    if (!hierarchy) return undefined;
    const [limitFile, usedFile, cacheLine] =
      hierarchy.version === 2
        ? ['memory.max', 'memory.current', /^inactive_file (\d+)$/m]
        : ['memory.limit_in_bytes', 'memory.usage_in_bytes', /^total_inactive_file (\d+)$/m];
    const limits = await Promise.all(
      hierarchy.folders.map(async (folder) => ({
        folder,
        limit: Number(await this.#text(`${folder}/${limitFile}`)),
      })),
    );
    const tightest = limits.filter(({ limit }) => limit > 0 && limit < NO_LIMIT_BYTES).sort(byLimit)[0];
    if (!tightest) return undefined;
    const used = Number(await this.#text(`${tightest.folder}/${usedFile}`));
    if (!(used >= 0)) return undefined;
    // The page cache that can go at once is free memory, as in MemAvailable.
    const cache = Number(
      cacheLine.exec((await this.#text(`${tightest.folder}/memory.stat`)) ?? '')?.[1] ?? 0,
    );
    return { limitBytes: tightest.limit, usedBytes: Math.max(0, used - cache) };
  }

  async #cpu(cpu: Hierarchy | undefined, accounting: Hierarchy | undefined): Promise<Confinement['cpu']> {
    if (!cpu) return undefined;
    const quotas = await Promise.all(
      cpu.folders.map(async (folder, depth) => ({ depth, limit: await this.#cpus(folder, cpu.version) })),
    );
    const tightest = quotas.filter(({ limit }) => limit > 0).sort(byLimit)[0];
    if (!tightest) return undefined;
    const usedMs = await this.#cpuUsedMs(cpu, accounting, tightest.depth);
    return usedMs >= 0 ? { cpus: tightest.limit, usedMs } : undefined;
  }

  /** NaN without a quota. */
  async #cpus(folder: string, version: 1 | 2): Promise<number> {
    if (version === 2) {
      const [quota, period] = ((await this.#text(`${folder}/cpu.max`)) ?? '').trim().split(' ').map(Number);
      return (quota ?? Number.NaN) / (period ?? Number.NaN);
    }
    const [quota, period] = await Promise.all([
      this.#text(`${folder}/cpu.cfs_quota_us`),
      this.#text(`${folder}/cpu.cfs_period_us`),
    ]);
    return Number(quota ?? Number.NaN) / Number(period ?? Number.NaN);
  }

  async #cpuUsedMs(cpu: Hierarchy, accounting: Hierarchy | undefined, depth: number): Promise<number> {
    if (cpu.version === 2) {
      const stat = await this.#text(`${cpu.folders[depth]}/cpu.stat`);
      return Number(/^usage_usec (\d+)$/m.exec(stat ?? '')?.[1]) / 1_000;
    }
    return Number((await this.#text(`${accounting?.folders[depth]}/cpuacct.usage`)) ?? Number.NaN) / 1e6;
  }

  #text(path: string): Promise<string | undefined> {
    return this.#read(path).catch(() => undefined);
  }
}

const byLimit = (a: { limit: number }, b: { limit: number }): number => a.limit - b.limit;

/** Version 1 writes "no limit" as the largest number that it has. */
const NO_LIMIT_BYTES = 2 ** 60;

function hierarchyOf(
  controller: Controller,
  own: string,
  first: string,
  mounts: readonly Mount[],
): Hierarchy | undefined {
  const mount =
    mounts.find(({ type, superOptions }) => type === 'cgroup' && superOptions.includes(controller)) ??
    mounts.find(({ type }) => type === 'cgroup2');
  if (!mount) return undefined;
  const version = mount.type === 'cgroup2' ? 2 : 1;
  const path = pathIn(own, version === 2 ? '' : controller);
  if (path === undefined) return undefined;
  const inside = ownPart(relative(path, mount.root), path === pathIn(first, version === 2 ? '' : controller));
  const folders = [mount.path];
  for (const name of inside.split('/').filter((part) => part !== ''))
    folders.unshift(`${folders[0]}/${name}`);
  return { version, folders };
}

/** The path of a controller in /proc/…/cgroup; version 2 has no name there. */
function pathIn(text: string, controller: string): string | undefined {
  for (const line of text.split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path !== undefined && names?.split(',').includes(controller)) return path;
  }
  return undefined;
}

/** A path below what is mounted: a container may have only its own part of the hierarchy mounted, or named. */
function relative(path: string, root: string): string {
  if (path.includes('/..')) return '';
  if (root === '/') return path;
  return path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : '';
}

/**
 * The limits of a service that the agent runs in are the agent's, not the machine's: a unit of systemd counts only where
 * the first process lives in it too, as in a container.
 */
function ownPart(path: string, withFirst: boolean): string {
  return withFirst ? path : path.replace(/\/[^/]+\.service(?:\/.*)?$/, '');
}
