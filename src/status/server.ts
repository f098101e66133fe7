/** The socket at which an event loop answers what it does. It holds no event loop and closes with its own. */

import { randomBytes } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import net from 'node:net';
import { debuglog } from 'node:util';
import { isMainThread, threadId } from 'node:worker_threads';
import { isAlive, ownPidNamespace, type SocketName, StatusDirectory } from './directory.js';

const debug = debuglog('sockets-direct');
/** Questions that are answered at the same time. */
const questionsMax = 8;
/** Milliseconds after which who does not read the answer is left alone. */
const patience = 1000;
/** Names of dead processes that one start takes away. */
const sweptMax = 64;

/**
 * Opens the socket. `answer` makes the document. Where it cannot be opened, for want of a directory say, this event loop just
 * cannot be asked: its program has nothing to do with it.
 */
export function openStatusSocket(
  environment: Readonly<Record<string, string | undefined>>,
  answer: () => string,
): void {
  try {
    open(StatusDirectory.make(environment), ownPidNamespace(), answer);
  } catch (error) {
    debug('no status socket: %s', error);
  }
}

function open(directory: StatusDirectory, pidNamespace: string, answer: () => string): void {
  const server = net.createServer((socket) => reply(socket, answer));
  server.on('error', (error) => debug('status socket: %s', error.message));
  server.maxConnections = questionsMax;
  const thread = isMainThread ? 0 : threadId;
  const name = `${pidNamespace}-${process.pid}-${thread}-${randomBytes(4).toString('hex')}`;
  // In a worker of a cluster the primary would otherwise get the path.
  server.listen({ path: directory.socketPath(name), exclusive: true });
  server.unref();
  if (!server.listening) {
    directory.close();
    return;
  }
  const isOurs = (one: SocketName): boolean => one.pidNamespace === pidNamespace && one.pid === process.pid;
  // The main thread does it for workers that were terminated.
  process.on('exit', () => remove(directory, (one) => one.name === name || (isMainThread && isOurs(one))));
  // What processes have left that were killed.
  remove(directory, (one) => one.pidNamespace === pidNamespace && !isAlive(one.pid), sweptMax);
}

function reply(socket: net.Socket, answer: () => string): void {
  socket.unref();
  socket.on('error', () => {});
  socket.setTimeout(patience, () => socket.destroy());
  socket.resume();
  socket.end(answer());
}

/** Takes away the names that `which` says, as far as the first `limit` names go. */
function remove(
  directory: StatusDirectory,
  which: (name: SocketName) => boolean,
  limit = Number.MAX_SAFE_INTEGER,
): void {
  try {
    for (const one of directory.names().slice(0, limit)) if (which(one)) unlinkSync(directory.socketPath(one.name));
  } catch {
    // Somebody else was faster, or the directory is gone.
  }
}
