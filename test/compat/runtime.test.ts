/** What the runtime tells of sockets: contexts, channels, handles, reports. */

import assert from 'node:assert/strict';
import { AsyncLocalStorage, createHook, executionAsyncId } from 'node:async_hooks';
import diagnosticsChannel from 'node:diagnostics_channel';
import { once } from 'node:events';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import v8 from 'node:v8';
import { compare } from './support/compare.js';
import type { End } from './support/scenario.js';
import { serve } from './support/serve.js';

interface ProcessInternals {
  _getActiveHandles(): object[];
  _getActiveRequests(): object[];
}
const internals = process as unknown as ProcessInternals;

/** Classes of the sockets and servers of TCP among the active handles. */
function activeSockets(): string {
  const handles = internals._getActiveHandles();
  const own = handles.filter(
    (one) =>
      (one instanceof net.Server && typeof one.address() !== 'string') || (one instanceof net.Socket && !isPipe(one)),
  );
  return own
    .map((one) => one.constructor.name)
    .sort()
    .join(' ');
}

/** A channel to the parent or to another process with Sockets Direct. */
function isPipe(socket: net.Socket): boolean {
  return socket.remoteAddress === undefined && !socket.connecting;
}

const { storage, context } = (() => {
  const storage = new AsyncLocalStorage<string>();
  return { storage, context: () => String(storage.getStore()) };
})();

await compare(import.meta.url, {
  'AsyncLocalStorage in every callback': {
    async server(end) {
      const server = storage.run('listen', () =>
        net.createServer((socket) => {
          end.note('connection', context());
          const seen = new Set<string>();
          for (const event of ['data', 'end', 'finish', 'close']) {
            socket.on(event, () => {
              // How many pieces there are is a matter of time.
              if (!seen.has(event + context())) end.note(event, context());
              seen.add(event + context());
            });
          }
          storage.run('server write', () => socket.write('hello', () => end.note('written', context())));
          storage.run('timeout', () => socket.setTimeout(10_000, () => end.note('timeout', context())));
        }),
      );
      const closed = once(server, 'connection').then(([socket]) => end.closed(socket as net.Socket));
      await storage.run('listening', () => end.listen(server));
      await closed;
      await end.told('done');
      await new Promise<void>((resolve) =>
        storage.run('closing', () =>
          server.close(() => {
            end.note('closed', context());
            resolve();
          }),
        ),
      );
    },
    async client(end) {
      const socket = storage.run('connect', () => net.connect(end.port, '127.0.0.1'));
      for (const event of ['connect', 'ready', 'data', 'end', 'finish', 'drain', 'timeout', 'close']) {
        socket.on(event, () => end.note(event, context()));
      }
      storage.run('early write', () => socket.write('x', () => end.note('early written', context())));
      await once(socket, 'data');
      storage.run('set timeout', () => socket.setTimeout(20));
      await once(socket, 'timeout');
      socket.setTimeout(0);
      storage.run('big write', () => socket.write(Buffer.alloc(20 << 20), () => end.note('big written', context())));
      await once(socket, 'drain');
      storage.run('end', () => socket.end(() => end.note('ended', context())));
      await end.closed(socket);
      end.tell('done');
    },
  },

  'AsyncLocalStorage.enterWith in handlers does not leak into other sockets': {
    async server(end) {
      await serve(end, (socket) => {
        end.note('connection', context());
        socket.on('data', (data) => {
          end.note(data, context());
          storage.enterWith(`entered by ${data}`);
          socket.write(data);
        });
      });
    },
    async client(end) {
      for (const word of ['first', 'second', 'third']) {
        await storage.run(word, async () => {
          const socket = net.connect(end.port, '127.0.0.1');
          socket.write(word);
          await once(socket, 'data');
          end.note(context());
          socket.end();
          await end.closed(socket);
          end.note(context());
        });
      }
      end.tell('done');
    },
  },

  'core channels: net.client.socket and net.server.socket': {
    async server(end) {
      const heard = (message: unknown): void => {
        const { socket } = message as { socket: net.Socket };
        if (!isPipe(socket)) end.note('net.server.socket', socket.remoteFamily, socket.readyState);
      };
      diagnosticsChannel.subscribe('net.server.socket', heard);
      await serve(end, (socket) => {
        end.note('connection');
        socket.resume();
      });
      diagnosticsChannel.unsubscribe('net.server.socket', heard);
    },
    async client(end) {
      const heard = (message: unknown): void => {
        const { socket } = message as { socket: net.Socket };
        end.note('net.client.socket', socket.connecting, socket.pending);
      };
      diagnosticsChannel.subscribe('net.client.socket', heard);
      const socket = net.connect(end.port, '127.0.0.1', () => socket.end());
      diagnosticsChannel.unsubscribe('net.client.socket', heard);
      socket.resume();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'core channels: net.server.listen': {
    since: [22, 13],
    async server(end) {
      const channels = ['asyncStart', 'asyncEnd', 'error'].map((event) => `tracing:net.server.listen:${event}`);
      const heard = (message: unknown, name: string | symbol): void => {
        const { server } = message as { server: net.Server };
        // The address of a pipe is a string.
        if (typeof server.address() !== 'string') end.note(name, server.listening);
      };
      for (const name of channels) diagnosticsChannel.subscribe(name, heard);
      await serve(end, (socket) => socket.end());
      for (const name of channels) diagnosticsChannel.unsubscribe(name, heard);
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      socket.resume();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'process._getActiveHandles() has servers and open sockets, also paused ones, and no unreferenced ones': {
    async server(end) {
      const sockets: net.Socket[] = [];
      const server = net.createServer((socket) => {
        sockets.push(socket);
        socket.resume();
        if (sockets.length === 3) end.tell('accepted');
      });
      await end.listen(server);
      end.note(activeSockets());
      await end.told('open');
      end.note(activeSockets());
      sockets[0].pause();
      sockets[1].unref();
      end.note(activeSockets(), internals._getActiveHandles().includes(sockets[0]));
      sockets[1].ref();
      end.note(activeSockets(), internals._getActiveHandles().includes(sockets[1]));
      sockets[0].resume();
      end.tell('seen');
      await end.told('closed');
      await Promise.all(sockets.map((socket) => end.closed(socket)));
      end.note(activeSockets());
      server.unref();
      end.note(activeSockets());
      await end.told('done');
    },
    async client(end) {
      const sockets = [1, 2, 3].map(() => net.connect(end.port, '127.0.0.1').resume());
      end.note(activeSockets());
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      await end.told('accepted');
      end.note(activeSockets());
      sockets[0].unref();
      end.note(activeSockets());
      end.tell('open');
      await end.told('seen');
      sockets[0].destroy();
      end.note(activeSockets());
      sockets[1].end();
      sockets[2].end();
      await Promise.all(sockets.map((socket) => end.closed(socket)));
      end.note(activeSockets());
      end.tell('closed');
      end.tell('done');
    },
  },

  'process.getActiveResourcesInfo() counts sockets and servers, and no timer of ours': {
    async server(end) {
      const server = net.createServer((socket) => socket.resume());
      await end.listen(server);
      end.note(resources());
      await end.told('open');
      end.note(resources());
      end.tell('seen');
      await end.told('done');
    },
    async client(end) {
      const sockets = [1, 2].map(() => net.connect(end.port, '127.0.0.1').resume());
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      setTimeout(() => {
        end.note(resources());
        end.tell('open');
      }, 50);
      await end.told('seen');
      for (const socket of sockets) socket.end();
      await Promise.all(sockets.map((socket) => end.closed(socket)));
      end.note(resources());
      end.tell('done');
    },
  },

  'async_hooks: a socket has its resource, which callbacks run in and which is destroyed': {
    server: (end) => serve(end, (socket) => socket.pipe(socket)),
    async client(end) {
      const created = new Map<number, string>();
      const destroyed = new Set<number>();
      const hook = createHook({
        init(id, type) {
          created.set(id, type);
        },
        destroy(id) {
          destroyed.add(id);
        },
      });
      hook.enable();
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      const ids = new Set<number>();
      socket.on('data', () => ids.add(executionAsyncId()));
      for (let i = 0; i < 3; i++) {
        socket.write('x');
        await once(socket, 'data');
      }
      const [id] = ids;
      end.note(ids.size, created.has(id), destroyed.has(id));
      socket.end();
      await end.closed(socket);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      hook.disable();
      end.note(destroyed.has(id));
      end.note('type', created.get(id));
      end.tell('done');
    },
    differs(direct, stock) {
      assert.deepEqual(stock.client, ['1 true false', 'true', 'type TCPWRAP']);
      assert.deepEqual(direct.client, ['1 true false', 'true', 'type SOCKETSDIRECT']);
    },
  },

  '_handle.fd is a descriptor on stock, and -1 over shared memory': {
    server: (end) => serve(end, (socket) => end.note(typeof descriptor(socket), descriptor(socket) > 0)),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      end.note(typeof descriptor(socket), descriptor(socket) > 0);
      socket.destroy();
      await end.closed(socket);
      end.tell('done');
    },
    differs(direct, stock) {
      assert.deepEqual([stock.server, stock.client], [['number true'], ['number true']]);
      assert.deepEqual([direct.server, direct.client], [['number false'], ['number false']]);
    },
  },

  'a diagnostic report and a heap snapshot can be had with open connections': {
    server: (end) => serve(end, (socket) => socket.pipe(socket)),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      const report = process.report!.getReport() as unknown as { header: { event: string }; libuv: { type: string }[] };
      end.note(report.header.event, report.libuv.length > 0);
      let bytes = 0;
      for await (const chunk of v8.getHeapSnapshot()) bytes += (chunk as Buffer).length;
      end.note(bytes > 1_000_000);
      socket.write('still there');
      end.note((await once(socket, 'data'))[0]);
      socket.end();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'timers keep their time while bytes flow': {
    server: (end) => serve(end, (socket) => socket.on('error', () => {}).pipe(socket)),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.on('data', (data) => socket.write(data));
      socket.write('ping');
      const late: number[] = [];
      for (let i = 0; i < 30; i++) {
        const from = performance.now();
        await new Promise<void>((resolve) => {
          setTimeout(() => {
            late.push(performance.now() - from - 5);
            resolve();
          }, 5);
        });
      }
      late.sort((a, b) => a - b);
      // Where other programs want the processor most timers are late; that all are would be of our doing.
      end.note('never early', late[0] > -1, 'within 2 ms', late[2] < 2);
      socket.destroy();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'the event loop of an idle connection is idle, and with a message each millisecond it is mostly': {
    server: (end) => serve(end, (socket) => socket.on('error', () => {}).pipe(socket)),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write('warm');
      await once(socket, 'data');
      await utilization(end, 'idle', 0.1);
      const timer = setInterval(() => socket.write('x'), 1);
      socket.resume();
      await utilization(end, 'a message each millisecond', 0.6);
      clearInterval(timer);
      socket.destroy();
      await end.closed(socket);
      end.tell('done');
    },
  },
});

/**
 * Notes whether the event loop is utilized less than that. On a machine with other work a loop counts as busy while it waits
 * for a processor, so one of several looks is enough.
 */
async function utilization(end: End, what: string, bound: number): Promise<void> {
  let least = 1;
  for (let look = 0; look < 20 && least >= bound; look++) {
    const before = performance.eventLoopUtilization();
    await new Promise<void>((resolve) => {
      setTimeout(() => {
        least = Math.min(least, performance.eventLoopUtilization(before).utilization);
        resolve();
      }, 100);
    });
  }
  end.note(what, least < bound ? 'low' : `high: ${least}`);
}

function resources(): string {
  const wanted = ['TCPSocketWrap', 'TCPServerWrap', 'TCPWRAP', 'Timeout'];
  return process
    .getActiveResourcesInfo()
    .filter((one) => wanted.includes(one))
    .sort()
    .join(' ');
}

function descriptor(socket: net.Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}
