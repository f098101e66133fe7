/** `node client.js <directory>`: is refused once, then says something and closes. */

import { Node } from 'sockets-direct/conformance';
import { errorName, FD_CONNECT_BIT } from 'sockets-direct/spi';
import { UnixSocketProvider } from './provider.js';

const [directory] = process.argv.slice(2);
const node = new Node({ provider: new UnixSocketProvider({ directory }), address: '127.0.0.1', others: [] });

/** WSPConnect goes on in the background; the event object tells that it has ended. */
function connect(from) {
  const connecting = node.connect(node.name(4000), from);
  return new Promise((resolve) => {
    connecting.event.onset = () => {
      const error = node.enumerate(connecting).iErrorCode[FD_CONNECT_BIT];
      resolve({ socket: connecting.socket, error });
    };
  });
}

const unwanted = await connect(6666);
console.log(`from port 6666: ${errorName(unwanted.error)}`);
node.close(unwanted.socket);

const { socket, error } = await connect(5000);
console.log(`from port 5000: ${error === 0 ? 'connected' : errorName(error)}`);
const { overlapped, at } = node.post(socket, 4096);
const answered = new Promise((resolve) => {
  node.onUpcall = () => {
    if (node.completions.some((one) => one.overlapped === overlapped)) resolve();
  };
});
node.say(socket, 'hello');
await answered;
console.log(`answer: ${Buffer.from(at.buf.bytes.subarray(0, overlapped.InternalHigh))}`);
node.close(socket);
