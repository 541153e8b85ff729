import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StoreRefusedError } from '../../../server/store/fleet-store.ts';
import { Program } from '../../support/program.ts';
import { freePort, type RedisServer, startRedis } from '../../support/redis-server.ts';
import { openStore } from './redis-fleet.ts';

const dir = mkdtempSync(join(tmpdir(), 'rollcall-tls-'));
const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
let redis: RedisServer;
let tlsPort: number;

beforeAll(async () => {
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1';
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  execFileSync('openssl', [...request, '-keyout', key, '-out', cert, '-addext', names], { stdio: 'ignore' });
  tlsPort = await freePort();
  const tls = ['--tls-port', String(tlsPort), '--tls-auth-clients', 'no', '--tls-ca-cert-file', cert];
  redis = await startRedis({ args: [...tls, '--tls-cert-file', cert, '--tls-key-file', key] });
});
afterAll(async () => {
  await redis.stop();
  rmSync(dir, { recursive: true });
});

const refused = async (url: string): Promise<string> => {
  const error: unknown = await openStore({ url, openWithinMs: 60_000 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StoreRefusedError);
  return error instanceof Error ? error.message : '';
};

describe('a Redis with TLS', () => {
  it('that is asked in the clear is refused in words, alone and as a Cluster', async () => {
    const words = `127.0.0.1:${tlsPort} cannot be used: it speaks TLS; write rediss://`;
    expect(await refused(`redis://127.0.0.1:${tlsPort}`)).toBe(`Redis at ${words}`);
    expect(await refused(`redis://127.0.0.1:${tlsPort},`)).toBe(`Redis Cluster at ${words}`);
    expect(await refused(`redis+sentinel://127.0.0.1:${tlsPort}/mymaster`)).toContain(
      'it speaks TLS, which redis+sentinel:// does not',
    );
  });

  it('that is none is refused in words, alone and as a Cluster', async () => {
    const words = `127.0.0.1:${redis.port} cannot be used: it does not speak TLS; write redis://`;
    expect(await refused(`rediss://127.0.0.1:${redis.port}`)).toBe(`Redis at ${words}`);
    expect(await refused(`rediss://127.0.0.1:${redis.port},`)).toBe(`Redis Cluster at ${words}`);
  });

  it('needs a certificate of an authority that is trusted, as NODE_EXTRA_CA_CERTS makes one', async () => {
    expect(await refused(`rediss://localhost:${tlsPort}`)).toContain('NODE_EXTRA_CA_CERTS=ca.pem adds one');
    const REDIS_URL = `rediss://localhost:${tlsPort}`;
    const hub = new Program(['hub', '--port', '0'], { REDIS_URL, NODE_EXTRA_CA_CERTS: cert });
    await hub.says(/Hub listening/);
    hub.signal('SIGTERM');
    expect((await hub.exit).code).toBe(0);
  });
});
