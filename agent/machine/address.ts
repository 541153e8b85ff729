import { isIP, isIPv6 } from 'node:net';
import type { InterfaceAddress } from './machine.ts';

const LOOPBACK = '127.0.0.1';

/** Interfaces that lead to containers and virtual machines of this very machine, or nowhere. */
const inside = /^(?:docker|br-|veth|virbr|lxcbr|lxdbr|cni|podman|flannel|cali|vnet|dummy|tap)/;

/** An address without its zone (`fe80::1%eth0`), and IPv4 as such (`::ffff:10.0.0.1`). */
const plain = (address: string): string => address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');

const leadsNowhere = (address: string): boolean =>
  /^(?:127\.|169\.254\.|::1$|::$|0\.0\.0\.0$|fe[89ab][0-9a-f]:)/i.test(address) || isIP(address) === 0;

export interface Route {
  /** The local address of the connection to the hub, where there is one. */
  localAddress?: string | undefined;
  /** The interface of the default route, where it is known. */
  defaultInterface?: string | undefined;
}

/**
 * The address at which this machine is reached; with `:port` where one is given. The one that the route to the hub
 * really uses, unless that stays within the machine: then that of the interface with the default route, else the first
 * that leads outside, IPv4 before IPv6, else one of a bridge, else 127.0.0.1.
 */
export function managementAddress(
  addresses: readonly InterfaceAddress[],
  port?: number,
  { localAddress, defaultInterface }: Route = {},
): string {
  const usable = addresses
    .map((one) => ({ ...one, address: plain(one.address) }))
    .filter(({ internal, address }) => !internal && !leadsNowhere(address));
  const outward = usable.filter(({ name }) => name === undefined || !inside.test(name));
  const local = localAddress === undefined ? undefined : plain(localAddress);
  const routed = local !== undefined && !leadsNowhere(local) && !isInside(local, usable) ? local : undefined;
  const onDefault = outward.filter(({ name }) => name !== undefined && name === defaultInterface);
  const found = routed ?? first(onDefault) ?? first(outward) ?? first(usable) ?? LOOPBACK;
  if (port === undefined) return found;
  return isIPv6(found) ? `[${found}]:${port}` : `${found}:${port}`;
}

const isInside = (address: string, usable: readonly InterfaceAddress[]): boolean =>
  usable.some((one) => one.address === address && one.name !== undefined && inside.test(one.name));

const first = (addresses: readonly InterfaceAddress[]): string | undefined =>
  (addresses.find(({ address }) => isIP(address) === 4) ?? addresses[0])?.address;

/** The interface of the default route of the lowest metric, from /proc/net/route. */
export function parseDefaultInterface(text: string): string | undefined {
  const routes = text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, destination, , , , , , mask]) => destination === '00000000' && mask === '00000000')
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  return routes[0]?.[0];
}
