import type { Hub } from '../../server/hub.ts';
import type { Log } from '../../server/runtime/log.ts';
import { type HubSettings, SettingsError } from '../../server/settings.ts';
import { StoreAwayError, StoreRefusedError } from '../../server/store/fleet-store.ts';
import { forceTheEnd, untilSignal } from '../signals.ts';
import { PrimaryLink } from './primary-link.ts';

/** What the operator can mend is the primary's to say, once for all workers. */
function exitCodeOf(error: unknown): number | undefined {
  if (error instanceof SettingsError || error instanceof StoreRefusedError) return 2;
  return error instanceof StoreAwayError ? 1 : undefined;
}

/** One hub of a group: as `rollcall hub`, on a port that it shares, until its primary tells it to stop or dies. */
export async function runWorker(
  settings: HubSettings,
  log: Log,
  reloaderOf: (hub: Hub) => () => void,
): Promise<void> {
  const primary = new PrimaryLink(settings.WORKERS);
  // A terminal and some supervisors signal every process of a group: the primary's word is then another one, also to reload.
  const told = Promise.race([untilSignal({ again: 'nothing', reload: () => {} }), primary.told]);
  const hub = await Promise.race([startOrTell(settings, log, primary), told.then(() => undefined)]);
  // Told to end amid its start: there is nobody to take leave of.
  if (hub === undefined) process.exit(0);
  await primary.begins(hub, reloaderOf(hub));
  const { hubId } = hub;
  log.info({ hubId, pid: process.pid, url: hub.url, store: 'redis' }, 'Hub listening');
  const end = await Promise.race([told, hub.refused]);
  forceTheEnd();
  const why = typeof end === 'string' ? { signal: end } : { why: end.message };
  log.info({ hubId, ...why }, 'Hub stopping: agents are told to reconnect, their nodes stay as they are');
  await hub.stop();
  log.info({ hubId }, 'Hub stopped');
  if (typeof end !== 'string') await primary.send({ type: 'failed', exitCode: 2, message: end.message });
  if (process.connected) process.disconnect();
}

async function startOrTell(settings: HubSettings, log: Log, primary: PrimaryLink): Promise<Hub> {
  const { startHub } = await import('../../server/hub.ts');
  try {
    return await startHub(settings, { log, group: primary });
  } catch (error) {
    const exitCode = exitCodeOf(error);
    // Not an expected failure: its trace is for developers.
    if (exitCode === undefined || !(error instanceof Error)) {
      process.disconnect();
      throw error;
    }
    await primary.send({ type: 'failed', exitCode, message: error.message });
    process.exit(exitCode);
  }
}
