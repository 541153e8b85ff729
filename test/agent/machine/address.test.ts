import { expect, test } from 'vitest';
import { managementAddress, parseDefaultInterface, type Route } from '../../../agent/machine/address.ts';

const at = (name: string, address: string) => ({
  name,
  address,
  family: address.includes(':') ? 'IPv6' : 'IPv4',
  internal: name === 'lo',
});
const [lo, docker, eth, eth6, wlan] = [
  at('lo', '127.0.0.1'),
  at('docker0', '172.17.0.1'),
  at('eth0', '10.0.0.5'),
  at('eth0', '2001:db8::5'),
  at('wlan0', '192.168.1.7'),
];
const linkLocal = [at('eth0', '169.254.7.7'), at('eth0', 'fe80::5')];

test.each<[string, ReturnType<typeof at>[], Route, string]>([
  ['the route to the hub', [lo, docker, eth, wlan], { localAddress: '192.168.1.7' }, '192.168.1.7'],
  ['the route to the hub, mapped', [lo, eth], { localAddress: '::ffff:10.0.0.5' }, '10.0.0.5'],
  ['the route to the hub over IPv6', [lo, eth, eth6], { localAddress: '2001:db8::5' }, '2001:db8::5'],
  ['a tunnel to the hub', [lo, eth, at('wg0', '10.9.0.2')], { localAddress: '10.9.0.2' }, '10.9.0.2'],
  ['a hub on this machine', [lo, docker, eth], { localAddress: '127.0.0.1' }, '10.0.0.5'],
  ['a hub in a container here', [docker, eth], { localAddress: '172.17.0.1' }, '10.0.0.5'],
  ['a hub on this link', [...linkLocal, eth6], { localAddress: 'fe80::5%eth0' }, '2001:db8::5'],
  ['no connection', [docker, eth, wlan], {}, '10.0.0.5'],
  ['the default route', [docker, eth, wlan], { defaultInterface: 'wlan0' }, '192.168.1.7'],
  ['a bridge alone', [lo, docker], { localAddress: '::1' }, '172.17.0.1'],
  ['loopback alone', [lo, ...linkLocal], { localAddress: '127.0.0.1' }, '127.0.0.1'],
])('[FACT-2] by %s', (_name, addresses, route, expected) => {
  expect(managementAddress(addresses, undefined, route)).toBe(expected);
});

test('[FACT-2] a port goes behind it, IPv6 in brackets', () => {
  expect(managementAddress([eth], 9090)).toBe('10.0.0.5:9090');
  expect(managementAddress([eth6], 9090)).toBe('[2001:db8::5]:9090');
});

test('[FACT-2] the default route of the lowest metric counts', () => {
  const head = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT';
  const line = (name: string, to: string, metric: number, mask: string) =>
    `${name}\t${to}\t0100000A\t0003\t0\t0\t${metric}\t${mask}\t0\t0\t0`;
  const text = [
    head,
    line('wlan0', '00000000', 600, '00000000'),
    line('eth0', '00000000', 100, '00000000'),
    line('docker0', '000011AC', 0, '0000FFFF'),
  ].join('\n');
  expect(parseDefaultInterface(text)).toBe('eth0');
  expect(parseDefaultInterface(head)).toBeUndefined();
  expect(parseDefaultInterface('')).toBeUndefined();
});
