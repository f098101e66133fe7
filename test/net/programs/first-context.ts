/**
 * `first-context.js connect|listen PORT`: uses sockets for the first time inside an AsyncLocalStorage, ends that, and tells what
 * of the context is left: whether later callbacks see its store, and whether that can be collected.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { getServers } from 'node:dns';
import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { carrier, report } from '../../e2e/programs/support.js';

const [scenario, port] = process.argv.slice(2);
const storage = new AsyncLocalStorage<object>();
const seen = new Set<string>();
let provider: string | null = null;

/** In which context a callback runs, unless that is none. */
function note(what: string): void {
  if (storage.getStore() !== undefined) seen.add(what);
}

async function talk(target: number): Promise<void> {
  const socket = net.connect(target, '127.0.0.1');
  await once(socket, 'connect');
  ({ provider } = carrier(socket));
  socket.end('some bytes');
  socket.resume();
  await once(socket, 'close');
}

async function serveOnce(): Promise<void> {
  const server = net.createServer((socket) => socket.pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await talk((server.address() as net.AddressInfo).port);
  server.close();
  await once(server, 'close');
}

/** Nothing here keeps the store but what its context has started. */
function firstUse(): { reference: WeakRef<object>; over: Promise<void> } {
  const store = { purpose: 'to be seen' };
  const over = storage.run(store, () => (scenario === 'listen' ? serveOnce() : talk(Number(port))));
  return { reference: new WeakRef(store), over };
}

/** Its promise knows the store too, and goes with this call. */
async function afterFirstUse(): Promise<WeakRef<object>> {
  const { reference, over } = firstUse();
  await over;
  return reference;
}

// What Node.js itself makes when it is first asked for, and keeps, is made outside of it.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
getServers();
const reference = await afterFirstUse();
// The same once more in no context: what the first use has started carries this too.
const server = net.createServer((socket) => {
  note('connection');
  socket.on('data', () => note('data of the server')).on('end', () => note('end of the server'));
  socket.pipe(socket);
});
server.listen(0, '127.0.0.1', () => note('listening'));
await once(server, 'listening');
const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1', () => note('connect'));
socket.on('data', () => note('data')).on('close', () => note('close'));
socket.end('more', () => note('end of sending'));
await once(socket, 'close');
server.close();
await once(server, 'close');
let turns = 0;
while (reference.deref() !== undefined && turns < 50) {
  // Whoever looks at a weak reference keeps its target for the rest of the turn.
  await turn();
  globalThis.gc!();
  await turn();
  turns++;
}
report('told', { provider, seen: [...seen], collected: reference.deref() === undefined });
