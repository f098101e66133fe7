/** What the conformance kit needs of this provider. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineSubject } from 'sockets-direct/conformance';
import { UnixSocketProvider } from './provider.js';
import { Rendezvous } from './rendezvous.js';
import { CLOSE, DESCRIPTOR_SIZE, frame, MESSAGE, REQUEST, WRITE } from './wire.js';

const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.99'];

function party(directory, connectBudget) {
  const opened = new Set();
  const provider = new UnixSocketProvider({
    directory,
    addresses,
    connectBudget,
    opened: (one) => {
      opened.add(one);
      one.once('close', () => opened.delete(one));
    },
  });
  const [address, ...others] = addresses;
  // What the kernel does at the end of a process.
  const kill = () => {
    for (const one of opened) one.destroy === undefined ? one.close() : one.destroy();
  };
  return { provider, address, others, kill };
}

/** Ways to the sockets for those who keep to no protocol. */
function malice(directory) {
  const rendezvous = new Rendezvous(directory);
  const callee = (port) => ({ sa_family: 2, address: addresses[0], port });
  return {
    stranger: (port) =>
      new Promise((resolve, reject) => {
        const socket = connect(rendezvous.find(callee(port))[0]);
        socket.on('error', reject).on('data', () => {});
        socket.once('connect', () =>
          resolve({
            write: (bytes) => socket.writable && socket.write(bytes),
            get ended() {
              return socket.destroyed;
            },
            close: () => socket.destroy(),
          }),
        );
      }),
    greeting: (port) => {
      const id = randomBytes(12).toString('hex');
      writeFileSync(join(directory, `r-${id}`), '');
      const caller = { sa_family: 2, address: addresses[0], port: 39_999 };
      return frame(REQUEST, Buffer.from(JSON.stringify({ id, caller, callee: callee(port) })));
    },
    messages: () => [
      frame(MESSAGE, Buffer.from('hello')),
      frame(WRITE, Buffer.alloc(DESCRIPTOR_SIZE + 4), Buffer.from('written')),
      frame(CLOSE),
    ],
  };
}

export default defineSubject({
  name: 'unix-socket',
  url: import.meta.url,
  capabilities: {
    flowControl: true,
    rdmaWrite: true,
    rdmaRead: false,
    registrationCache: false,
    duplication: false,
    loopback: true,
    hosts: false,
    providerMemory: false,
  },
  notApplicable: { exhaustion: 'its memory is that of the process, which cannot be taken away from it alone' },
  module: () => import('./provider.js'),
  open: ({ connectBudget }) => {
    const directory = mkdtempSync(join(tmpdir(), 'unix-socket-provider-'));
    return {
      server: party(directory, connectBudget),
      client: party(directory, connectBudget),
      place: directory,
      malice: malice(directory),
      close: () => rmSync(directory, { recursive: true, force: true }),
    };
  },
  join: (place, { connectBudget }) => ({ party: party(place, connectBudget), close: () => {} }),
});
