// Follows a fleet from a program: npm install rollcall; ROLLCALL_URL=http://hub:8080 ROLLCALL_TOKEN=… node follow.mjs
import { FleetClient, SUMMARIES } from 'rollcall/client';

const { ROLLCALL_URL: hubUrl = 'http://127.0.0.1:8080', ROLLCALL_TOKEN: token } = process.env;
const fleet = new FleetClient({ hubUrl, token, nodes: SUMMARIES });
fleet.on('picture', ({ size }) => console.log(`${size} nodes`));
fleet.on('change', ({ event: { node, from, to, reason } }) =>
  console.log(node.hostname, from, '->', to, reason),
);
fleet.on('lost', (why) => console.log(`away: ${why}`));
fleet.on('ended', (_code, why) => console.error(why));
fleet.start();
