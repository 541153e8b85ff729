import { describe } from 'vitest';
import { batchContract } from './contract/batches.ts';
import { beatContract } from './contract/beat.ts';
import { commitContract } from './contract/commit.ts';
import { hubsContract } from './contract/hubs.ts';
import { logContract } from './contract/log.ts';
import { lossContract } from './contract/loss.ts';
import { retimeContract } from './contract/retime.ts';
import type { CreateFleet } from './contract/setting.ts';
import { silenceContract } from './contract/silence.ts';

/** What every store of the fleet must do: one suite, run on each implementation. */
export function fleetStoreContract(name: string, harness: { create: CreateFleet }): void {
  describe(`the fleet store: ${name}`, () => {
    commitContract(harness.create);
    batchContract(harness.create);
    beatContract(harness.create);
    retimeContract(harness.create);
    silenceContract(harness.create);
    logContract(harness.create);
    lossContract(harness.create);
    hubsContract(harness.create);
  });
}
