/** The order in which both ends of a connection see its events. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { compare } from './support/compare.js';
import type { ServerEnd } from './support/scenario.js';

/** A server that notes what happens to it and its one connection, and is done when that has closed. */
async function watched(
  end: ServerEnd,
  options: net.ServerOpts,
  handle: (socket: net.Socket) => void = () => {},
): Promise<void> {
  const server = net.createServer(options);
  end.watch(server, ['listening', 'close', 'error'], 'server ');
  await new Promise<void>((resolve) => {
    server.on('connection', (socket) => {
      end.note('connection', socket.readyState, socket.connecting, socket.pending);
      end.watch(socket);
      end.gather(socket);
      socket.on('close', () => {
        end.note(socket.readyState, socket.destroyed);
        server.close(() => resolve());
      });
      handle(socket);
    });
    void end.listen(server);
  });
}

await compare(import.meta.url, {
  'the client ends after a write': {
    server: (end) => watched(end, {}),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      end.note(socket.readyState, socket.connecting, socket.pending);
      end.watch(socket);
      socket.on('data', () => end.note('data'));
      socket.on('connect', () => {
        end.note(socket.readyState, socket.connecting, socket.pending);
        socket.write('hello', () => end.note('written'));
        socket.end('bye', () => end.note('ended'));
        end.note(socket.readyState, socket.writableEnded, socket.writableFinished);
      });
      await end.closed(socket);
      end.note(socket.readyState, socket.destroyed, socket.pending);
    },
  },

  'the server ends after a write': {
    server: (end) => watched(end, {}, (socket) => socket.end('bye', () => end.note('ended'))),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      end.watch(socket);
      socket.on('data', (data) => end.note('data', data, socket.readyState));
      await end.closed(socket);
      end.note(socket.readyState, socket.writableFinished, socket.readableEnded);
    },
  },

  'what is written and ended before connect is sent in order': {
    server: (end) => watched(end, {}),
    async client(end) {
      const socket = net.connect({ port: end.port, host: '127.0.0.1' }, () => end.note('callback'));
      end.watch(socket);
      end.note(socket.write('one ', () => end.note('written one')));
      end.note(socket.write('two ', () => end.note('written two')));
      end.note(socket.writableLength, socket.bytesWritten, socket.bufferSize);
      socket.end('three', () => end.note('ended'));
      socket.resume();
      await end.closed(socket);
      end.note(socket.bytesWritten);
    },
  },

  'each end keeps its half open': {
    server: (end) =>
      watched(end, { allowHalfOpen: true }, (socket) =>
        socket.on('end', () => {
          end.note(socket.readyState, socket.writable);
          socket.end('late');
        }),
      ),
    async client(end) {
      const socket = net.connect({ port: end.port, host: '127.0.0.1', allowHalfOpen: true });
      end.watch(socket);
      socket.on('connect', () => socket.end('early'));
      socket.on('data', (data) => end.note('data', data, socket.readyState));
      await end.closed(socket);
    },
  },

  'a client that is destroyed': {
    server: (end) => watched(end, {}),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => {
        end.note(socket.destroyed, socket.readyState);
        socket.destroy();
        end.note(socket.destroyed, socket.readyState, socket.closed);
      });
      end.watch(socket);
      await end.closed(socket);
    },
  },

  'a client that is destroyed with an error': {
    server: (end) => watched(end, {}),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => socket.destroy(new Error('mine')));
      end.watch(socket);
      await end.closed(socket);
      end.note(socket.errored?.message, socket.destroyed);
    },
  },

  'destroySoon sends what is queued': {
    server: (end) => watched(end, {}),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => {
        socket.write('queued', () => end.note('written'));
        socket.destroySoon();
        end.note(socket.destroyed, socket.writable);
      });
      end.watch(socket);
      await end.closed(socket);
    },
  },

  'a reset is an error of the peer only': {
    server: (end) => watched(end, {}, (socket) => socket.on('data', () => end.tell('read'))),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => socket.write('x'));
      end.watch(socket);
      await end.told('read');
      socket.resetAndDestroy();
      await end.closed(socket);
      end.note(socket.destroyed, socket.readyState, socket.errored);
    },
  },

  'a reset while connecting waits for connect': {
    async server(end) {
      // Whether it hears of a connection that is reset at once is a matter of time.
      const server = net.createServer((socket) => socket.on('error', () => {}));
      await end.listen(server);
      await end.told('closed');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      end.watch(socket);
      socket.resetAndDestroy();
      end.note(socket.destroyed, socket.connecting);
      await end.closed(socket);
      end.tell('closed');
    },
  },

  'a reset of a socket that was never connected is ERR_SOCKET_CLOSED': {
    carriers: [],
    server: (end) => end.begin(0),
    async client(end) {
      const socket = new net.Socket();
      end.watch(socket);
      socket.resetAndDestroy();
      await end.closed(socket);
    },
  },

  'the same socket is connected again after it has closed': {
    async server(end) {
      let count = 0;
      await new Promise<void>((resolve) => {
        const server = net.createServer((socket) => {
          end.gather(socket);
          socket.on('end', () => end.note(socket.bytesRead));
          socket.on('close', () => {
            count += 1;
            if (count === 3) resolve();
          });
        });
        void end.listen(server);
      });
    },
    async client(end) {
      const socket = new net.Socket();
      end.watch(socket);
      for (const word of ['first', 'second', 'third']) {
        await new Promise<void>((resolve) => {
          socket.once('close', () => resolve());
          socket.connect(end.port, '127.0.0.1', () => {
            end.note(word, socket.bytesWritten, socket.bytesRead, socket.pending);
            socket.end(word);
          });
          socket.resume();
        });
        end.note(socket.destroyed, socket.bytesWritten, socket.readyState);
      }
    },
  },

  'connect is called again from the handler of close': {
    async server(end) {
      const server = net.createServer((socket) => socket.end('x'));
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = new net.Socket();
      let left = 3;
      socket.on('data', (data) => end.note(data));
      await new Promise<void>((resolve) => {
        socket.on('close', (hadError) => {
          end.note('close', hadError);
          left -= 1;
          if (left === 0) resolve();
          else socket.connect(end.port, '127.0.0.1');
        });
        socket.connect(end.port, '127.0.0.1');
      });
      end.tell('done');
    },
  },

  'connect is called twice': {
    async server(end) {
      const server = net.createServer((socket) => {
        end.note('connection');
        socket.resume();
      });
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => {
        end.note('first');
        try {
          socket.connect(end.port, '127.0.0.1', () => end.note('second'));
        } catch (error) {
          end.note((error as Error).message);
        }
      });
      end.watch(socket);
      setTimeout(() => socket.end(), 100);
      await end.closed(socket);
      end.tell('done');
    },
    // The kernel takes one more connect() for a question after the first, and only the third is EISCONN.
    differs(direct, stock) {
      const first = ['first', 'connect ', 'ready '];
      assert.deepEqual(stock.client, [...first, 'connect ', 'second', 'ready ', 'finish ', 'end ', 'close false']);
      assert.deepEqual(direct.client.slice(0, 3), first);
      assert.match(direct.client[3], /^error Error EISCONN connect/);
      assert.deepEqual(direct.client.slice(4), ['close true']);
    },
  },

  'ticks and microtasks run between two events': {
    async server(end) {
      const server = net.createServer((socket) => {
        socket.setNoDelay();
        let n = 0;
        socket.on('data', () => {
          n += 1;
          if (n < 20) socket.write(`${n} `);
          else socket.end('last');
        });
      });
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      let open = 0;
      socket.on('connect', () => {
        process.nextTick(() => end.note('tick after connect'));
        Promise.resolve().then(() => end.note('microtask after connect'));
        socket.write('go');
      });
      socket.on('ready', () => end.note('ready'));
      socket.on('data', (data) => {
        end.note('data', data, open);
        open += 1;
        process.nextTick(() => Promise.resolve().then(() => (open -= 1)));
        if (!/last/.test(`${data}`)) socket.write('next');
      });
      socket.on('end', () => end.note('end', open));
      await end.closed(socket);
      end.tell('done');
    },
  },
});
