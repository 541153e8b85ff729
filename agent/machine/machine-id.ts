import { createHmac } from 'node:crypto';
import type { Machine } from './machine.ts';

/** Names this application, so that no other application's hash of the same machine id is equal. */
const APP = 'rollcall.machine-id.v1';

/**
 * The machine's id, hashed: 32 hex digits. /etc/machine-id is confidential and must not leave the machine
 * (machine-id(5) asks for exactly this keyed hash). Cloned images share it, so it is a hint, not an identity.
 */
export async function hashedMachineId(machine: Machine): Promise<string | undefined> {
  const id = (await readMachineId(machine)).trim();
  return id === '' ? undefined : createHmac('sha256', id).update(APP).digest('hex').slice(0, 32);
}

async function readMachineId(machine: Machine): Promise<string> {
  try {
    const id = await machine.readText('/etc/machine-id');
    // systemd writes "uninitialized" into images before their first start.
    if (/^[0-9a-f]{32}\s*$/i.test(id)) return id;
  } catch {
    // Not Linux, or no systemd: ask elsewhere.
  }
  return machine.systemId();
}
