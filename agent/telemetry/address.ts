import type { InterfaceAddress } from './machine.ts';

const LOOPBACK = '127.0.0.1';

/**
 * The address at which this machine is managed (seed 000): the first IPv4 address that is neither loopback nor
 * link-local (169.254.0.0/16), else 127.0.0.1; with `:port` where one is given.
 */
export function managementAddress(addresses: readonly InterfaceAddress[], port?: number): string {
  const found = addresses.find(
    ({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'),
  );
  const address = found?.address ?? LOOPBACK;
  return port === undefined ? address : `${address}:${port}`;
}
