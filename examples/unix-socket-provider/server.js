/** `node server.js <directory>`: answers in capitals. Whoever calls from port 6666 is not wanted. */

import { Node } from 'sockets-direct/conformance';
import { CF_ACCEPT, CF_REJECT, errorName } from 'sockets-direct/spi';
import { UnixSocketProvider } from './provider.js';

const [directory] = process.argv.slice(2);
// A switch would do what this does: it starts the provider and keeps the events of its sockets.
const node = new Node({ provider: new UnixSocketProvider({ directory }), address: '127.0.0.1', others: [] });

const listener = node.listen(4000);
listener.event.onset = () => {
  node.enumerate(listener);
  // Asked before the caller is told anything, and before WSPAccept returns.
  const socket = node.accept(listener, (caller) => (caller.port === 6666 ? CF_REJECT : CF_ACCEPT));
  if (socket === -1) {
    console.log(`refused: ${errorName(node.failure(socket))}`);
    return;
  }
  console.log('accepted');
  answer(socket);
};
console.log('listening');

/** Every message needs a buffer that was posted for it. */
function answer(socket) {
  const posted = new Map();
  const post = () => {
    const { overlapped, at } = node.post(socket, 4096);
    posted.set(overlapped, at);
  };
  for (let i = 0; i < 4; i++) post();
  node.onUpcall = (what) => {
    if (!what.startsWith('complete')) return;
    const { overlapped, error, bytes } = node.completions.at(-1);
    const at = posted.get(overlapped);
    // What we have sent has its completions as well.
    if (!posted.delete(overlapped)) return;
    if (error === 0) {
      const message = Buffer.from(at.buf.bytes.subarray(at.offset, at.offset + bytes)).toString();
      console.log(`got: ${message}`);
      node.say(socket, message.toUpperCase());
      post();
    } else if (posted.size === 0) {
      // All of them have ended with the connection. The socket itself is ours until we close it.
      console.log(`over: ${errorName(error)}`);
      node.close(socket);
      node.close(listener.socket);
    }
  };
}
