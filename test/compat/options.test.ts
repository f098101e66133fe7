/** Options of sockets and servers. */

import { once } from 'node:events';
import net from 'node:net';
import { compare } from './support/compare.js';
import { serve } from './support/serve.js';

/** Answers every 'data' with what came. */
function echo(socket: net.Socket): void {
  socket.on('error', () => {}).pipe(socket);
}

await compare(import.meta.url, {
  'onread with one buffer: pieces of its length, pause by returning false': {
    server: (end) => serve(end, (socket) => socket.end(Buffer.alloc(1000, 'abc'))),
    async client(end) {
      const parts: string[] = [];
      const buffer = Buffer.alloc(64);
      const socket = net.connect({
        port: end.port,
        host: '127.0.0.1',
        onread: {
          buffer,
          callback(length, bytes) {
            parts.push(Buffer.from(bytes).toString('latin1', 0, length));
            if (bytes !== buffer || length > 64) end.note('another buffer');
            if (parts.length !== 3) return true;
            setImmediate(() => socket.resume());
            return false;
          },
        },
      });
      end.watch(socket);
      socket.on('data', () => end.note('data'));
      await end.closed(socket);
      end.note(parts.join('').length, socket.bytesRead, parts.join('') === 'abc'.repeat(334).slice(0, 1000));
      end.tell('done');
    },
  },

  'pauseOnConnect: nothing is read before resume()': {
    async server(end) {
      const paused = (socket: net.Socket): void => {
        end.note(socket.isPaused(), socket.readableFlowing, socket.bytesRead);
        end.tell('accepted');
        void end.told('sent').then(() => {
          end.note(socket.bytesRead, socket.readableLength);
          end.gather(socket);
          socket.resume();
        });
      };
      await serve(end, paused, { pauseOnConnect: true });
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await end.told('accepted');
      socket.write('kept', () => end.tell('sent'));
      await once(socket.end(), 'finish');
      socket.resume();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'a socket that is paused keeps its peer waiting, and goes on where it was': {
    async server(end) {
      await serve(end, (socket) => {
        socket.pause();
        let bytes = 0;
        socket.on('data', (data) => {
          bytes += data.length;
        });
        socket.on('end', () => end.note(bytes, socket.bytesRead));
        void end.told('written').then(() => {
          end.note(bytes, socket.isPaused());
          socket.resume();
        });
      });
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      const taken = socket.write(Buffer.alloc(24 << 20), () => end.note('taken'));
      end.note(taken, socket.writableLength);
      setTimeout(() => {
        end.note(socket.writableLength);
        end.tell('written');
      }, 100);
      await once(socket, 'drain');
      end.note('drain', socket.writableLength);
      socket.end();
      socket.resume();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'setTimeout: once for idle time, and again after bytes': {
    server: (end) => serve(end, echo),
    async client(end) {
      const socket = net.connect({ port: end.port, host: '127.0.0.1', timeout: 60 });
      end.note(socket.timeout);
      end.watch(socket, ['timeout', 'data', 'close']);
      await once(socket, 'timeout');
      end.note(socket.destroyed, socket.timeout);
      socket.write('x');
      await once(socket, 'data');
      await once(socket, 'timeout');
      socket.setTimeout(0);
      end.note(socket.timeout);
      socket.setTimeout(30, () => end.note('callback'));
      await once(socket, 'timeout');
      socket.end();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'setTimeout: none while a write drains, one when it has stopped draining': {
    async server(end) {
      await serve(end, (socket) => {
        socket.pause();
        let left = 8;
        const timer = setInterval(() => {
          socket.read(2 << 20);
          left -= 1;
          if (left > 0) return;
          clearInterval(timer);
          end.tell('no more');
        }, 40);
        void end.told('timeout').then(() => socket.resume());
      });
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      let stopped = false;
      void end.told('no more').then(() => {
        stopped = true;
      });
      socket.setTimeout(150, () => {
        end.note('timeout', stopped);
        socket.setTimeout(0);
        end.tell('timeout');
      });
      socket.write(Buffer.alloc(64 << 20), () => end.note('written'));
      socket.end();
      socket.resume();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'an AbortSignal of a socket': {
    server: (end) => serve(end, echo),
    async client(end) {
      for (const when of ['connecting', 'open']) {
        const controller = new AbortController();
        const { signal } = controller;
        const socket = net.connect({ port: end.port, host: '127.0.0.1', signal } as net.NetConnectOpts);
        end.watch(socket, undefined, `${when} `);
        if (when === 'connecting') controller.abort(new Error('enough'));
        if (when === 'open') socket.on('connect', () => controller.abort());
        await end.closed(socket);
        end.note(socket.destroyed, socket.errored?.name, (socket.errored as NodeJS.ErrnoException).code);
      }
      end.tell('done');
    },
  },

  'an AbortSignal of a server': {
    async server(end) {
      const controller = new AbortController();
      const server = net.createServer((socket) => {
        end.note('connection');
        socket.resume();
        controller.abort();
      });
      end.watch(server, ['close', 'error']);
      await end.listen(server, { signal: controller.signal });
      await end.closed(server);
      await end.told('done');
      end.note(server.listening);
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => socket.end('x'));
      await end.closed(socket);
      end.tell('done');
    },
  },

  'setNoDelay, setKeepAlive and the same as options': {
    server: (end) => serve(end, echo, { noDelay: true, keepAlive: true, keepAliveInitialDelay: 1000 }),
    async client(end) {
      const socket = net.connect({ port: end.port, host: '127.0.0.1', noDelay: true, keepAlive: true });
      end.note(socket.setNoDelay() === socket, socket.setKeepAlive(true, 500) === socket);
      await once(socket, 'connect');
      end.note(socket.setNoDelay(false) === socket, socket.setKeepAlive(false) === socket);
      end.note(socket.ref() === socket, socket.unref() === socket, socket.ref() === socket);
      socket.end();
      socket.resume();
      await end.closed(socket);
      end.note(socket.setNoDelay(true) === socket, socket.setKeepAlive(true) === socket);
      end.tell('done');
    },
  },

  'allowHalfOpen is false by default, and may be set later': {
    async server(end) {
      await serve(end, (socket) => {
        end.note(socket.allowHalfOpen);
        socket.allowHalfOpen = true;
        socket.resume();
        socket.on('end', () => {
          end.note(socket.writable, socket.readyState);
          setImmediate(() => socket.end('still'));
        });
      });
    },
    async client(end) {
      const socket = net.connect({ port: end.port, host: '127.0.0.1', allowHalfOpen: true });
      end.note(socket.allowHalfOpen);
      socket.end('x');
      end.gather(socket);
      await end.closed(socket);
      end.tell('done');
    },
  },

  'readable and writable options of a socket': {
    server: (end) =>
      serve(end, (socket) =>
        socket
          .on('error', () => {})
          .resume()
          .end('ignored'),
      ),
    async client(end) {
      for (const options of [{ readable: false }, { writable: false }, { objectMode: true }]) {
        try {
          const socket = new net.Socket(options as net.SocketConstructorOpts);
          end.note(socket.readable, socket.writable, socket.readableObjectMode);
          socket.connect(end.port, '127.0.0.1');
          await once(socket, 'connect');
          end.note(socket.readable, socket.writable);
          socket.destroy();
          await end.closed(socket);
        } catch (error) {
          end.note((error as NodeJS.ErrnoException).code);
        }
      }
      end.tell('done');
    },
  },

  'blockList of a client: ERR_IP_BLOCKED': {
    since: [22, 13],
    carriers: [],
    server: (end) => serve(end, echo),
    async client(end) {
      const blockList = new net.BlockList();
      blockList.addAddress('127.0.0.1');
      const socket = net.connect({ port: end.port, host: '127.0.0.1', blockList } as net.NetConnectOpts);
      end.watch(socket);
      await end.closed(socket);
      end.tell('done');
    },
  },

  'blockList of a server: the connection is dropped': {
    since: [22, 13],
    async server(end) {
      const blockList = new net.BlockList();
      blockList.addAddress('127.0.0.1');
      const server = net.createServer({ blockList } as net.ServerOpts, () => end.note('connection'));
      server.on('drop', (data) => end.note('drop', data?.localAddress, data?.remoteAddress, data?.remoteFamily));
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      socket.resume();
      end.watch(socket, ['connect', 'close']);
      await end.closed(socket);
      end.tell('done');
    },
  },
});
