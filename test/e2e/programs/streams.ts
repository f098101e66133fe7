/**
 * `streams.js server SCENARIO` and `streams.js client SCENARIO PORT`: the two ends of one scenario. Each end reports what
 * it has seen, so that the reports can be compared with those of the same two programs without Sockets Direct.
 */

import { once } from 'node:events';
import net from 'node:net';
import { Checker, carrier, connect, listen, onOrder, pattern, report, send } from './support.js';

type Log = (event: string) => void;

interface Scenario {
  options?: net.ServerOpts;
  clientOptions?: Partial<net.TcpNetConnectOpts>;
  server(socket: net.Socket, log: Log): Promise<void> | void;
  client(socket: net.Socket, log: Log): Promise<void> | void;
}

const MiB = 1024 * 1024;

/** Notes how a socket ends. */
function watchEnd(socket: net.Socket, log: Log): void {
  socket.on('end', () => log('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => log(`error ${error.code} ${error.syscall}`));
  socket.on('close', (hadError) => log(`close ${hadError}`));
}

function watchBytes(socket: net.Socket, log: Log): void {
  const checker = new Checker().watch(socket);
  socket.on('end', () => log(`${checker.bytes} bytes, ${checker.correct ? 'as sent' : 'not as sent'}`));
}

async function exchange(socket: net.Socket, log: Log): Promise<void> {
  watchBytes(socket, log);
  watchEnd(socket, log);
  await send(socket, 64 * MiB);
  socket.end();
}

async function writeBeforeReading(socket: net.Socket, log: Log): Promise<void> {
  socket.pause();
  await new Promise<void>((resolve) => {
    socket.write(Buffer.concat(Array.from({ length: 16 }, (_, i) => pattern(i * 65536, 65536))), () => resolve());
  });
  log('1 MiB written');
  // The other side has written as well, and nobody has read anything for a while.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  // A paused stream takes what comes until it has as much as it wants, and then one more read, which is of 64 KiB at most.
  const most = socket.readableHighWaterMark + 65536;
  log(`${socket.bytesRead > most ? 'has' : 'has not'} read meanwhile`);
  watchBytes(socket, log);
  watchEnd(socket, log);
  socket.end();
  socket.resume();
}

const scenarios: Record<string, Scenario> = {
  exchange: {
    options: { allowHalfOpen: true },
    clientOptions: { allowHalfOpen: true },
    server: exchange,
    client: exchange,
  },

  clientEndsFirst: {
    options: { allowHalfOpen: true },
    server: (socket, log) => {
      watchBytes(socket, log);
      watchEnd(socket, log);
      socket.on('end', async () => {
        await send(socket, 3 * MiB);
        socket.end();
      });
    },
    client: async (socket, log) => {
      watchBytes(socket, log);
      watchEnd(socket, log);
      await send(socket, MiB, 1000);
      socket.end();
    },
  },

  serverEndsFirst: {
    server: async (socket, log) => {
      watchBytes(socket, log);
      watchEnd(socket, log);
      await send(socket, MiB, 1000);
      socket.end();
    },
    clientOptions: { allowHalfOpen: true },
    client: (socket, log) => {
      watchBytes(socket, log);
      watchEnd(socket, log);
      socket.on('end', async () => {
        await send(socket, 3 * MiB);
        socket.end();
      });
    },
  },

  writeBeforeReading: { server: writeBeforeReading, client: writeBeforeReading },

  shortWrites: {
    server: (socket, log) => {
      watchBytes(socket, log);
      watchEnd(socket, log);
    },
    client: async (socket, log) => {
      watchEnd(socket, log);
      socket.resume();
      for (let i = 0; i < 10_000; i++) socket.write(pattern(7 * i, 7));
      socket.end();
    },
  },

  /** One write that takes long because its reader is slow: each step forward puts off the time-out of the writer. */
  slowReader: {
    server: (socket, log) => {
      watchBytes(socket, log);
      watchEnd(socket, log);
      let bytes = 0;
      socket.on('data', (chunk) => {
        bytes += chunk.length;
        if (bytes < MiB) return;
        bytes -= MiB;
        socket.pause();
        setTimeout(() => socket.resume(), 150);
      });
    },
    client: (socket, log) => {
      watchEnd(socket, log);
      socket.resume();
      const began = performance.now();
      // Less than half of what all of it takes, and some steps.
      socket.setTimeout(900, () => log('time-out'));
      const block = Buffer.concat(Array.from({ length: 320 }, (_, i) => pattern(i * 65536, 65536)));
      socket.write(block, () => {
        log(performance.now() - began > 1800 ? 'written, slowly' : 'written at once');
        socket.setTimeout(0);
        socket.end();
      });
    },
  },

  clientDestroys: {
    server: (socket, log) => {
      watchBytes(socket, log);
      watchEnd(socket, log);
    },
    client: (socket, log) => {
      watchEnd(socket, log);
      socket.write(pattern(0, 5000), () => socket.destroy());
    },
  },

  clientResets: {
    server: (socket, log) => {
      watchEnd(socket, log);
      socket.resume();
    },
    client: (socket, log) => {
      watchEnd(socket, log);
      socket.resetAndDestroy();
    },
  },

  clientDestroysWithUnreadBytes: {
    server: (socket, log) => {
      socket.on('error', (error: NodeJS.ErrnoException) => log(`error ${error.code}`));
      socket.on('close', (hadError) => log(`close ${hadError}`));
      socket.resume();
      socket.write(Buffer.alloc(MiB));
    },
    client: async (socket, log) => {
      watchEnd(socket, log);
      await once(socket, 'readable');
      socket.destroy();
    },
  },

  serverDestroysUnread: {
    server: (socket, log) => {
      watchEnd(socket, log);
      socket.once('readable', () => socket.destroy());
    },
    client: (socket, log) => {
      socket.on('error', (error: NodeJS.ErrnoException) => log(`error ${error.code}`));
      socket.on('close', (hadError) => log(`close ${hadError}`));
      socket.resume();
      socket.write(Buffer.alloc(MiB));
    },
  },

  serverStopsListening: {
    server: (socket, log) => {
      watchBytes(socket, log);
      watchEnd(socket, log);
      server.close(() => log('server closed'));
      socket.write('closing');
    },
    client: async (socket, log) => {
      watchEnd(socket, log);
      await once(socket, 'data');
      const second = net.connect(socket.remotePort!, '127.0.0.1');
      const [error] = (await once(second, 'error').catch((reason) => [reason])) as [NodeJS.ErrnoException];
      // Which of the two depends on SOCKETS_DIRECT_REQUIRE.
      log(`second: ${error.code === 'ENETUNREACH' ? 'ECONNREFUSED' : error.code}`);
      await send(socket, MiB);
      socket.end();
    },
  },
};

const [role, name, port] = process.argv.slice(2);
const scenario = scenarios[name];
const log: string[] = [];
let server: net.Server;

if (role === 'server') {
  server = net.createServer(scenario.options ?? {}, (socket) => {
    socket.on('close', () => setImmediate(() => report('log', { log, provider: carrier(socket).provider })));
    void scenario.server(socket, (event) => log.push(event));
  });
  await listen(server);
  onOrder('close', () => server.close());
} else {
  const socket = await connect({ host: '127.0.0.1', port: Number(port), ...scenario.clientOptions });
  socket.on('close', () => setImmediate(() => report('log', { log, provider: carrier(socket).provider })));
  void scenario.client(socket, (event) => log.push(event));
}
