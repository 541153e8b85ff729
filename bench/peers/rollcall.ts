// A Rollcall hub, as `rollcall hub` runs it, with the settings of its environment.
import { startHub } from '../../server/hub.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { readHubSettings } from '../../server/settings.ts';
import { serve } from '../harness/serve.ts';

const settings = readHubSettings({ PORT: '0', ...process.env, LOG_LEVEL: 'silent' }, () => '');
const hub = await startHub(settings, { log: silentLog });
serve(hub.port);
