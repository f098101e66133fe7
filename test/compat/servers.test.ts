/** Servers: limits, closing, counting, and what keeps them. */

import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { compare } from './support/compare.js';
import type { ClientEnd } from './support/scenario.js';

async function connect(end: ClientEnd): Promise<net.Socket> {
  const socket = net.connect(end.port, '127.0.0.1').on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

function connections(server: net.Server): Promise<string> {
  return new Promise((resolve) => server.getConnections((error, count) => resolve(`${error} ${count}`)));
}

await compare(import.meta.url, {
  'maxConnections and the drop event': {
    async server(end) {
      const server = net.createServer((socket) => {
        end.note('connection');
        socket.resume();
      });
      server.maxConnections = 2;
      server.on('drop', (data) => {
        const { localAddress, localFamily, remoteAddress, remoteFamily, localPort, remotePort } = data!;
        end.note('drop', localAddress, localFamily, remoteAddress, remoteFamily, typeof localPort, typeof remotePort);
        end.tell('dropped');
      });
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const open = [await connect(end), await connect(end)];
      const third = net.connect(end.port, '127.0.0.1').on('error', () => {});
      end.watch(third, ['connect', 'close']);
      third.resume();
      await end.told('dropped');
      await end.closed(third);
      open[0].end().resume();
      await end.closed(open[0]);
      open[1].destroy();
      end.tell('done');
    },
  },

  'getConnections counts what is open': {
    async server(end) {
      const server = net.createServer((socket) => socket.resume());
      await end.listen(server);
      for (const word of ['none', 'three', 'two']) {
        await end.told(word);
        end.note(word, await connections(server));
        end.tell(`counted ${word}`);
      }
      await end.told('done');
    },
    async client(end) {
      end.tell('none');
      await end.told('counted none');
      const sockets = [await connect(end), await connect(end), await connect(end)];
      // The server is in another process and accepts a little later.
      for (const socket of sockets) await new Promise<void>((resolve) => socket.write('x', () => resolve()));
      setTimeout(() => end.tell('three'), 50);
      await end.told('counted three');
      sockets[0].end().resume();
      await end.closed(sockets[0]);
      setTimeout(() => end.tell('two'), 50);
      await end.told('counted two');
      for (const socket of sockets) socket.destroy();
      end.tell('done');
    },
  },

  'close() with open connections waits for them': {
    async server(end) {
      const server = net.createServer((socket) => {
        end.watch(socket, ['end', 'close']);
        socket.resume();
        server.close((error) => end.note('closed', error));
        end.note(server.listening, server.address());
        server.close((error) => end.note('again', (error as NodeJS.ErrnoException).code));
        end.tell('closing');
      });
      end.watch(server, ['close']);
      await end.listen(server);
      await end.closed(server);
      end.note(await connections(server));
      await end.told('done');
    },
    async client(end) {
      const socket = await connect(end);
      await end.told('closing');
      socket.end('x').resume();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'a server listens again at the same port after it has closed': {
    async server(end) {
      const server = net.createServer((socket) => socket.end(`from ${round}`));
      let round = 0;
      const port = await end.listen(server);
      for (round = 0; round < 3; round++) {
        await end.told(`seen ${round}`);
        server.close();
        await end.closed(server);
        server.removeAllListeners('close');
        server.listen(port, '127.0.0.1');
        await once(server, 'listening');
        end.note((server.address() as net.AddressInfo).port === port);
        end.tell(`open ${round}`);
      }
      await end.told('done');
    },
    async client(end) {
      for (let round = 0; round < 3; round++) {
        const socket = net.connect(end.port, '127.0.0.1');
        end.gather(socket);
        await end.closed(socket);
        end.tell(`seen ${round}`);
        await end.told(`open ${round}`);
      }
      end.tell('done');
    },
  },

  'Symbol.asyncDispose closes a server': {
    async server(end) {
      const server = net.createServer((socket) => socket.resume());
      await end.listen(server);
      await end.told('open');
      const { asyncDispose } = Symbol as unknown as { asyncDispose: symbol };
      const disposed = (server as unknown as Record<symbol, () => Promise<void>>)[asyncDispose]();
      end.note(server.listening);
      end.tell('closing');
      await disposed;
      end.note(server.listening, await connections(server));
      await end.told('done');
    },
    async client(end) {
      const socket = await connect(end);
      end.tell('open');
      await end.told('closing');
      socket.end();
      socket.resume();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'captureRejections: a rejected handler is an error of the socket, and destroys it': {
    async server(end) {
      EventEmitter.captureRejections = true;
      const server = net.createServer();
      EventEmitter.captureRejections = false;
      server.on('connection', async (socket: net.Socket) => {
        end.watch(socket, ['error', 'close']);
        await Promise.resolve();
        throw new Error('rejected');
      });
      server.on('error', (error) => end.note('server', error.message));
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = await connect(end);
      end.watch(socket, ['error', 'close']);
      setTimeout(() => socket.destroy(), 100);
      await end.closed(socket);
      end.tell('done');
    },
  },

  'closeAllConnections and closeIdleConnections of an HTTP server': {
    async server(end) {
      const server = http.createServer((_request, response) => response.end('x'));
      server.keepAliveTimeout = 0;
      await end.listen(server);
      await end.told('idle');
      end.note(await connections(server));
      server.closeIdleConnections();
      end.note(await connections(server));
      end.tell('closed idle');
      await end.told('half a request');
      server.closeIdleConnections();
      end.note(await connections(server));
      server.closeAllConnections();
      end.note(await connections(server));
      await end.told('done');
    },
    async client(end) {
      const agent = new http.Agent({ keepAlive: true });
      await new Promise<void>((resolve) => {
        http.get({ port: end.port, host: '127.0.0.1', agent }, (response) => {
          response.resume().on('end', () => setImmediate(resolve));
        });
      });
      const [idle] = Object.values(agent.freeSockets)[0]!;
      end.tell('idle');
      await end.told('closed idle');
      await end.closed(idle);
      const half = await connect(end);
      half.write('GET / HTTP/1.1\r\n');
      setTimeout(() => end.tell('half a request'), 50);
      half.resume();
      await end.closed(half);
      end.tell('done');
    },
  },

  'listen() twice is ERR_SERVER_ALREADY_LISTEN, close() of an idle one ERR_SERVER_NOT_RUNNING': {
    async server(end) {
      const server = net.createServer((socket) => socket.end());
      await end.listen(server);
      try {
        server.listen(0);
      } catch (error) {
        end.note((error as NodeJS.ErrnoException).code);
      }
      const idle = net.createServer();
      await new Promise<void>((resolve) => {
        idle.close((error) => {
          end.note((error as NodeJS.ErrnoException).code);
          resolve();
        });
      });
      await end.told('done');
    },
    async client(end) {
      const socket = await connect(end);
      socket.resume();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'an error thrown by a handler of connection is an uncaught exception, and the server goes on': {
    async server(end) {
      const caught = (error: Error): void => end.note('uncaught', error.message);
      process.on('uncaughtException', caught);
      let n = 0;
      const server = net.createServer((socket) => {
        n += 1;
        socket.end(`${n}`);
        if (n === 1) throw new Error('thrown');
      });
      await end.listen(server);
      await end.told('done');
      process.off('uncaughtException', caught);
    },
    async client(end) {
      for (let i = 0; i < 2; i++) {
        const socket = net.connect(end.port, '127.0.0.1');
        end.gather(socket);
        await end.closed(socket);
      }
      end.tell('done');
    },
  },
});
