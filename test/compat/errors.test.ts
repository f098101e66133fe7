/** Errors: class, code, system call, message, and which end sees them. */

import { once } from 'node:events';
import net from 'node:net';
import { compare } from './support/compare.js';

/** Every own member of an error, as it would be logged. */
function members(error: (NodeJS.ErrnoException & { address?: string; port?: number }) | null | undefined): string {
  if (error == null) return String(error);
  const { name, code, errno, syscall, address, port, message } = error;
  return JSON.stringify({ name, code, errno, syscall, address, port, message, keys: Object.keys(error) });
}

/** A port at which nobody listens any more. */
function closedPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

await compare(import.meta.url, {
  'nobody listens: ECONNREFUSED with address, port and system call': {
    fallback: true,
    carriers: ['tcpip'],
    async server(end) {
      end.begin(await closedPort());
    },
    async client(end) {
      for (const host of ['127.0.0.1', '::1', 'localhost']) {
        const socket = net.connect(end.port, host);
        end.watch(socket);
        socket.on('error', (error) => end.note(members(error).replaceAll(`${end.port}`, 'PORT')));
        socket.write('never sent', (error) => end.note('write', error?.message.replace(`${end.port}`, 'PORT')));
        await end.closed(socket);
        end.note(socket.connecting, socket.destroyed, socket.bytesWritten, socket.remoteAddress);
      }
    },
  },

  'a server in this process that has just closed: ECONNREFUSED': {
    fallback: true,
    async server(end) {
      const server = net.createServer((socket) => socket.resume());
      const connected = once(server, 'connection');
      await end.listen(server);
      await connected;
      await end.told('connected');
      server.close();
      end.tell('closed');
      await end.told('done');
    },
    carriers: ['shared-memory', 'tcpip'],
    async client(end) {
      const first = net.connect(end.port, '127.0.0.1');
      first.on('connect', () => end.tell('connected'));
      await end.told('closed');
      const second = net.connect(end.port, '127.0.0.1');
      end.watch(second);
      await end.closed(second);
      first.end('still open');
      await end.closed(first);
      end.note(first.bytesWritten);
      end.tell('done');
    },
  },

  'ports that cannot be': {
    carriers: [],
    server: (end) => end.begin(0),
    client(end) {
      for (const port of [-1, 65_536, Number.NaN, '12x', 1.5, null, undefined, {}]) {
        try {
          net.connect(port as number, '127.0.0.1').on('error', () => {});
          end.note('no error', port);
        } catch (error) {
          end.note(members(error as NodeJS.ErrnoException));
        }
      }
    },
  },

  'port 0 is refused': {
    fallback: true,
    carriers: ['tcpip'],
    server: (end) => end.begin(0),
    async client(end) {
      const socket = net.connect(0, '127.0.0.1');
      socket.on('error', (error) => end.note(members(error)));
      await end.closed(socket);
    },
  },

  'the address is in use: EADDRINUSE': {
    async server(end) {
      const server = net.createServer((socket) => socket.resume());
      const port = await end.listen(server);
      const second = net.createServer();
      second.on('error', (error) => end.note(members(error).replaceAll(`${port}`, 'PORT')));
      second.on('close', () => end.note('close'));
      second.listen(port, '127.0.0.1');
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => socket.end());
      await end.closed(socket);
      end.tell('done');
    },
  },

  'a reset: read ECONNRESET': {
    async server(end) {
      await new Promise<void>((resolve) => {
        const server = net.createServer((socket) => {
          end.watch(socket);
          socket.on('error', (error) => end.note(members(error)));
          socket.on('close', () => resolve());
          socket.resume();
        });
        void end.listen(server);
      });
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      socket.on('connect', () => socket.resetAndDestroy());
      end.watch(socket);
      await end.closed(socket);
    },
  },

  'a reset while a write is under way: one error, and its callback gets one': {
    async server(end) {
      const server = net.createServer((socket) => {
        socket.pause();
        socket.on('close', () => end.note('closed'));
        void end.told('filled').then(() => socket.resetAndDestroy());
      });
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      let errors = 0;
      socket.on('error', (error: NodeJS.ErrnoException) => {
        errors += 1;
        end.note('error', error.code, error.syscall);
      });
      const chunk = Buffer.alloc(32 << 20);
      socket.on('connect', () => {
        end.note(socket.write(chunk, (error) => end.note('first', error instanceof Error)));
        end.note(socket.write('more', (error) => end.note('second', error instanceof Error)));
        setTimeout(() => end.tell('filled'), 50);
      });
      await end.closed(socket);
      end.note(errors, socket.destroyed);
      end.tell('done');
    },
  },

  'a write after end(): ERR_STREAM_WRITE_AFTER_END or EPIPE': {
    async server(end) {
      const server = net.createServer((socket) => socket.resume());
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => {
        socket.end('x');
        end.note(socket.write('y', (error) => end.note('callback', members(error))));
      });
      end.watch(socket);
      socket.on('error', (error) => end.note(members(error)));
      await end.closed(socket);
      socket.write('z', (error) => end.note('late', members(error)));
      await new Promise((resolve) => setImmediate(resolve));
      end.tell('done');
    },
  },

  'a write after the peer has ended, without half-open: EPIPE, This socket has been ended by the other party': {
    async server(end) {
      const server = net.createServer((socket) => socket.end());
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      end.watch(socket);
      socket.resume();
      socket.on('end', () => {
        end.note(socket.write('y', (error) => end.note('callback', members(error))));
      });
      await end.closed(socket);
      end.tell('done');
    },
  },

  'a write to a socket that is destroyed': {
    async server(end) {
      const server = net.createServer((socket) => socket.resume());
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => {
        socket.destroy();
        end.note(socket.write('y', (error) => end.note('callback', members(error))));
        socket.end('z', () => end.note('ended'));
      });
      end.watch(socket);
      await end.closed(socket);
      end.tell('done');
    },
  },

  'a write before connect to a socket that never was: EPIPE or ERR_SOCKET_CLOSED': {
    carriers: [],
    server: (end) => end.begin(0),
    async client(end) {
      const socket = new net.Socket();
      end.watch(socket);
      socket.write('x', (error) => end.note('callback', members(error)));
      await new Promise((resolve) => setImmediate(resolve));
      socket.destroy();
      await end.closed(socket);
    },
  },

  'writes of the wrong type': {
    async server(end) {
      const server = net.createServer((socket) => socket.resume());
      await end.listen(server);
      await end.told('done');
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await new Promise((resolve) => socket.on('connect', resolve));
      for (const chunk of [null, undefined, 1, {}, true, []]) {
        try {
          socket.write(chunk as unknown as string);
        } catch (error) {
          end.note(members(error as Error));
        }
      }
      try {
        socket.write('x', 'klingon' as BufferEncoding);
      } catch (error) {
        end.note(members(error as Error));
      }
      socket.end();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'no address of localhost answers: an AggregateError with one error for each': {
    fallback: true,
    carriers: ['tcpip'],
    async server(end) {
      end.begin(await closedPort());
    },
    async client(end) {
      const socket = net.connect({
        port: end.port,
        host: 'two.example',
        autoSelectFamily: true,
        lookup: (_host, _options, done) =>
          (done as (error: null, list: { address: string; family: number }[]) => void)(null, [
            { address: '::1', family: 6 },
            { address: '127.0.0.1', family: 4 },
          ]),
      });
      socket.on('connectionAttempt', (address, _port, family) => end.note('attempt', address, family));
      socket.on('connectionAttemptFailed', (address, _port, family) => end.note('failed', address, family));
      socket.on('error', (error) => {
        end.note(error.name, (error as NodeJS.ErrnoException).code);
        for (const one of (error as AggregateError).errors) {
          end.note(members(one).replaceAll(`${end.port}`, 'PORT'));
        }
      });
      await end.closed(socket);
      end.note(JSON.stringify(socket.autoSelectFamilyAttemptedAddresses).replaceAll(`${end.port}`, 'PORT'));
    },
  },

  'errors of name resolution': {
    carriers: [],
    server: (end) => end.begin(0),
    async client(end) {
      const failing = Object.assign(new Error('getaddrinfo ENOTFOUND no.example'), { code: 'ENOTFOUND' });
      for (const [error, address, family] of [
        [failing, undefined, undefined],
        [null, 'not an address', 4],
        [null, '127.0.0.1', 5],
      ] as const) {
        const socket = net.connect({
          port: 1,
          host: 'no.example',
          autoSelectFamily: false,
          lookup: (_host, _options, done) =>
            (done as (error: Error | null, address?: string, family?: number) => void)(error, address, family),
        });
        end.watch(socket);
        socket.on('lookup', (problem, found, kind, host) => end.note(problem?.message, found, kind, host));
        await end.closed(socket);
      }
    },
  },
});
