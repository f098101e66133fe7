/** Sockets of links are our own business: whoever watches the program's sockets on Node's channels must not see them. */

import { type Channel, channel } from 'node:diagnostics_channel';

const channels = [
  'net.client.socket',
  'net.server.socket',
  ...['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((event) => `tracing:net.server.listen:${event}`),
].map((name) => channel(name));

/** What `node:net` asks before it publishes is a getter of the class of a channel. */
function hush(one: Channel): void {
  Object.defineProperty(one, 'hasSubscribers', { configurable: true, value: false });
}

function release(one: Channel): void {
  delete (one as { hasSubscribers?: boolean }).hasSubscribers;
}

function releaseAll(): void {
  channels.forEach(release);
}

/** Calls `action`; what it does with sockets is not published. */
export function unannounced(action: () => void): void {
  channels.forEach(hush);
  try {
    action();
  } finally {
    releaseAll();
  }
}

/** To be called from a 'connection' listener, after which `node:net` publishes the connection. */
export function leaveUnannounced(): void {
  channels.forEach(hush);
  process.nextTick(releaseAll);
}
