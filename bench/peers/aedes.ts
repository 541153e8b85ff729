// aedes, an MQTT broker in Node: keepalive, last will, retained messages in memory.
import { createServer } from 'node:net';
import { Aedes } from 'aedes';
import { listen, serve } from '../harness/serve.ts';

const broker = await Aedes.createBroker();
const server = createServer({ noDelay: true }, broker.handle);
serve(await listen(server));
