import { BlockList, isIP } from 'node:net';
import type { HeartbeatTiming } from '../../shared/index.ts';

/**
 * The protocols of other control planes whose agents work here unchanged: hypervisors over Connect, GPU nodes with
 * pools, the devices of a fleet manager, hosts of game servers.
 */
export const DIALECTS = ['connect', 'gpu-node', 'fleet-manager', 'game-host'] as const;
export type DialectName = (typeof DIALECTS)[number];

/** The heartbeat interval and timeout of each dialect's agents. */
export type DialectTiming = Readonly<Record<DialectName, HeartbeatTiming>>;

/** The interval and timeout that each protocol gives its agents, milliseconds. */
export const DIALECT_TIMING: DialectTiming = {
  connect: { intervalMs: 30_000, timeoutMs: 90_000 },
  'gpu-node': { intervalMs: 10_000, timeoutMs: 30_000 },
  'fleet-manager': { intervalMs: 60_000, timeoutMs: 180_000 },
  'game-host': { intervalMs: 60_000, timeoutMs: 180_000 },
};

/** The names that version 0.1 gave the dialects, which settings may still use in this version. */
export const DIALECT_NUMBERS: ReadonlyMap<string, DialectName> = new Map([
  ['000', 'connect'],
  ['001', 'gpu-node'],
  ['002', 'connect'],
  ['003', 'fleet-manager'],
  ['004', 'game-host'],
]);

/** The dialect of a name in a setting, or undefined. */
export function dialectOf(name: string): DialectName | undefined {
  return DIALECT_NUMBERS.get(name) ?? DIALECTS.find((dialect) => dialect === name);
}

/** The names that a setting may have, for its errors. */
export const DIALECT_CHOICE = `${DIALECTS.slice(0, -1).join(', ')} or ${DIALECTS.at(-1)}`;

/** Dialects that take requests without a token, each from these networks; `everywhere` from any. */
export type OpenDialects = ReadonlyMap<DialectName, Networks>;

/** Networks in CIDR notation. */
export class Networks {
  readonly #list = new BlockList();
  readonly #texts: string[] = [];
  #everywhere = false;

  /** Adds a network, or everything if none is given. False: it is not a network. */
  add(text: string | undefined): boolean {
    if (text === undefined) {
      this.#everywhere = true;
      return true;
    }
    const [address = '', prefix, ...rest] = text.split('/');
    const family = isIP(address);
    const bits = family === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (family === 0 || rest.length > 0 || !(length >= 0 && length <= bits)) return false;
    this.#list.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
    this.#texts.push(text);
    return true;
  }

  has(address: string): boolean {
    if (this.#everywhere) return true;
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }

  toString(): string {
    return this.#everywhere ? 'everywhere' : this.#texts.join(', ');
  }
}

/** Reads `connect,fleet-manager@10.0.0.0/8`. Throws an `Error` whose message is for the operator. */
export function parseOpenDialects(entries: readonly string[]): OpenDialects {
  const open = new Map<DialectName, Networks>();
  for (const entry of entries) {
    const at = entry.indexOf('@');
    const name = dialectOf(at < 0 ? entry : entry.slice(0, at));
    if (!name)
      throw new Error(`"${entry}" names no dialect: write ${DIALECT_CHOICE}, and @network behind it`);
    const networks = open.get(name) ?? new Networks();
    if (!networks.add(at < 0 ? undefined : entry.slice(at + 1))) {
      throw new Error(`"${entry}" names no network: write it as fleet-manager@10.0.0.0/8`);
    }
    open.set(name, networks);
  }
  return open;
}
