/** What newer versions of Node.js have added; the oldest that is supported has none of it. */

import { once } from 'node:events';
import net from 'node:net';
import { compare } from './support/compare.js';
import type { End } from './support/scenario.js';

interface BoundSocket {
  address(): net.AddressInfo;
  fd(): number;
  close(): void;
}

interface NewerNet {
  BoundSocket: new (options: { host?: string; port?: number; ipv6Only?: boolean }) => BoundSocket;
}

interface NewerSocket {
  setTypeOfService(value: number): unknown;
  getTypeOfService(): number;
}

/** Notes what the call gives, or the code of what it throws. */
function attempt(end: End, what: string, call: () => unknown): void {
  try {
    end.note(what, call());
  } catch (error) {
    end.note(what, (error as NodeJS.ErrnoException).code);
  }
}

await compare(import.meta.url, {
  'setTypeOfService and getTypeOfService': {
    since: [24, 15],
    async server(end) {
      await end.listen(net.createServer((socket) => socket.on('error', () => {}).pipe(socket)));
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1') as net.Socket & NewerSocket;
      await once(socket, 'connect');
      attempt(end, 'at first', () => socket.getTypeOfService());
      attempt(end, 'set', () => socket.setTypeOfService(0x10) === socket);
      attempt(end, 'then', () => socket.getTypeOfService());
      for (const wrong of [-1, 256, 1.5, 'x']) attempt(end, `${wrong}`, () => socket.setTypeOfService(wrong as number));
      socket.destroy();
      await end.closed(socket);
      attempt(end, 'closed', () => socket.getTypeOfService());
      end.tell('done');
    },
  },

  'a server that adopts a BoundSocket': {
    since: [24, 15],
    async server(end) {
      const bound = new (net as unknown as NewerNet).BoundSocket({ host: '127.0.0.1' });
      const { port, ...rest } = bound.address();
      end.note(JSON.stringify(rest), bound.fd() > 0);
      const server = net.createServer((socket) => {
        end.note('connection', socket.localPort === port);
        socket.end('bound');
      });
      server.listen(bound as unknown as net.ListenOptions);
      await once(server, 'listening');
      attempt(end, 'adopted', () => bound.address());
      end.begin(port);
      await end.told('done');
      server.close();
      await end.closed(server);
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      end.gather(socket);
      await end.closed(socket);
      end.tell('done');
    },
  },

  'a client that adopts a BoundSocket': {
    since: [24, 15],
    async server(end) {
      const server = net.createServer((socket) => socket.end(String(socket.remotePort)));
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const bound = new (net as unknown as NewerNet).BoundSocket({ host: '127.0.0.1' });
      const { port } = bound.address();
      const socket = new net.Socket({ handle: bound } as unknown as net.SocketConstructorOpts);
      end.note(socket.localPort === port, socket.connecting, socket.pending);
      let text = '';
      socket.on('data', (data) => {
        text += data;
      });
      end.watch(socket);
      socket.connect({ port: end.port, host: '127.0.0.1' });
      await once(socket, 'connect');
      end.note(socket.localPort === port);
      await end.closed(socket);
      end.note(text === String(port));
      end.tell('done');
    },
  },

  'keep-alive with interval and count': {
    since: [24, 15],
    async server(end) {
      await end.listen(net.createServer((socket) => socket.resume()));
      await end.told('done');
    },
    async client(end) {
      const options = { keepAlive: true, keepAliveInitialDelay: 1000, keepAliveInterval: 500, keepAliveProbeCount: 3 };
      const socket = net.connect({ port: end.port, host: '127.0.0.1', ...options });
      await once(socket, 'connect');
      const set = socket.setKeepAlive as (...args: unknown[]) => net.Socket;
      attempt(end, 'set', () => set.call(socket, true, 2000, 1000, 5) === socket);
      attempt(end, 'unset', () => set.call(socket, false) === socket);
      socket.destroy();
      await end.closed(socket);
      end.tell('done');
    },
  },
});
