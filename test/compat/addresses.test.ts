/** Addresses and ports: what both ends say about themselves and each other. */

import net from 'node:net';
import { compare } from './support/compare.js';
import type { ServerEnd } from './support/scenario.js';

/** Everything a socket tells of its addresses; a number stands for each port that was met, in order. */
class Names {
  readonly #ports: number[] = [];

  port(port: number | undefined): string {
    if (port === undefined) return 'none';
    if (!this.#ports.includes(port)) this.#ports.push(port);
    return `port ${this.#ports.indexOf(port)}`;
  }

  of(socket: net.Socket): string {
    const { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily } = socket;
    const { address, family, port } = socket.address() as net.AddressInfo;
    const own = [localAddress, this.port(localPort), localFamily, address, this.port(port), family];
    return [...own, remoteAddress, this.port(remotePort), remoteFamily].join(' ');
  }
}

/** Serves until the client says that it is done, and notes the addresses of every connection. */
async function serve(end: ServerEnd, options: net.ListenOptions): Promise<void> {
  const names = new Names();
  // Closing may take longer than the next connection takes to come.
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    end.note(names.of(socket));
    sockets.push(socket);
    socket.end('x');
  });
  const port = await end.listen(server, options);
  end.note(JSON.stringify(server.address()).replace(`${port}`, 'PORT'));
  await end.told('done');
  server.close();
  await end.closed(server);
  for (const socket of sockets) {
    await end.closed(socket);
    end.note('closed', names.of(socket));
  }
  end.note(server.address());
}

const targets: [title: string, listen: net.ListenOptions, hosts: string[]][] = [
  ['a server at 127.0.0.1', { host: '127.0.0.1' }, ['127.0.0.1', 'localhost', '0.0.0.0', '::ffff:127.0.0.1']],
  ['a server at every address of both families', { host: '::' }, ['127.0.0.1', '::1', 'localhost', '0.0.0.0', '::']],
  ['a server without a host', { host: undefined as unknown as string }, ['127.0.0.1', '::1', '::ffff:127.0.0.1']],
  ['a server at 0.0.0.0', { host: '0.0.0.0' }, ['127.0.0.1', '127.1.2.3', 'localhost']],
  ['a server at ::1', { host: '::1' }, ['::1', 'localhost']],
  ['a server of IPv6 alone', { host: '::', ipv6Only: true }, ['::1']],
];

await compare(import.meta.url, {
  ...Object.fromEntries(
    targets.map(([title, listen, hosts]) => [
      title,
      {
        server: (end: ServerEnd) => serve(end, listen),
        async client(end) {
          const names = new Names();
          for (const host of hosts) {
            const socket = net.connect({ port: end.port, host, autoSelectFamily: true });
            socket.on('lookup', (error, address, family, name) => end.note(error, address, family, name));
            socket.on('connect', () => end.note(host, names.of(socket)));
            socket.resume();
            await end.closed(socket);
            end.note('closed', socket.remoteAddress, socket.localAddress, JSON.stringify(socket.address()));
          }
          end.tell('done');
        },
      } satisfies import('./support/scenario.js').Scenario,
    ]),
  ),

  'IPv4 does not reach a server of IPv6 alone': {
    fallback: true,
    carriers: ['tcpip'],
    server: (end) => serve(end, { host: '::', ipv6Only: true }),
    async client(end) {
      for (const host of ['127.0.0.1', '::ffff:127.0.0.1']) {
        const socket = net.connect(end.port, host);
        end.watch(socket);
        await end.closed(socket);
      }
      end.tell('done');
    },
  },

  'local address and port are what the client asks for': {
    async server(end) {
      const server = net.createServer((socket) => {
        end.note(socket.remoteAddress);
        socket.end(String(socket.remotePort));
      });
      await end.listen(server, { host: '::' });
      await end.told('done');
    },
    async client(end) {
      const free = await new Promise<number>((resolve) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
          const { port } = server.address() as net.AddressInfo;
          server.close(() => resolve(port));
        });
      });
      for (const options of [
        { localAddress: '127.0.0.1' },
        { localAddress: '127.0.0.9' },
        { localAddress: '127.0.0.1', localPort: free },
        { localAddress: '::1', host: '::1' },
      ]) {
        const socket = net.connect({ host: '127.0.0.1', port: end.port, ...options });
        let text = '';
        socket.on('data', (data) => {
          text += data;
        });
        const { localPort } = await new Promise<net.Socket>((resolve, reject) => {
          socket.on('connect', () => resolve(socket)).on('error', reject);
        });
        end.note(socket.localAddress, socket.localFamily, options.localPort === undefined || localPort === free);
        await end.closed(socket);
        end.note(text === String(localPort));
      }
      end.tell('done');
    },
  },

  'a local address that the host has not: EADDRNOTAVAIL': {
    carriers: [],
    server: (end) => serve(end, { host: '127.0.0.1' }),
    async client(end) {
      const socket = net.connect({ host: '127.0.0.1', port: end.port, localAddress: '192.0.2.1' });
      end.watch(socket);
      await end.closed(socket);
      end.tell('done');
    },
  },

  'a local port that is taken: EADDRINUSE': {
    carriers: [],
    server: (end) => serve(end, { host: '127.0.0.1' }),
    async client(end) {
      const socket = net.connect({
        host: '127.0.0.1',
        port: end.port,
        localAddress: '127.0.0.1',
        localPort: end.port,
      });
      end.watch(socket);
      await end.closed(socket);
      end.tell('done');
    },
  },

  'connections that are open at the same time have different ports': {
    async server(end) {
      const ports = new Set<number>();
      const sockets: net.Socket[] = [];
      const server = net.createServer((socket) => {
        ports.add(socket.remotePort!);
        sockets.push(socket);
        if (sockets.length < 300) return;
        end.note(ports.size, ports.has(port));
        for (const one of sockets) one.end();
      });
      const port = await end.listen(server, { backlog: 511 });
      await end.told('done');
    },
    async client(end) {
      const sockets = Array.from({ length: 300 }, () => net.connect(end.port, '127.0.0.1').resume());
      await Promise.all(sockets.map((socket) => end.closed(socket)));
      end.tell('done');
    },
  },

  'the first address of a name that answers is taken': {
    fallback: true,
    carriers: ['shared-memory'],
    server: (end) => serve(end, { host: '127.0.0.1' }),
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
      for (const event of ['connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout']) {
        socket.on(event, (address, _port, family, error) => end.note(event, address, family, error?.code));
      }
      socket.on('connect', () => end.note(socket.remoteAddress));
      socket.resume();
      await end.closed(socket);
      end.note(JSON.stringify(socket.autoSelectFamilyAttemptedAddresses).replaceAll(`${end.port}`, 'PORT'));
      end.tell('done');
    },
  },

  'family and a lookup function of the program': {
    server: (end) => serve(end, { host: '::' }),
    async client(end) {
      for (const family of [4, 6, 0] as const) {
        const socket = net.connect({
          port: end.port,
          host: 'any.example',
          family,
          hints: 0,
          autoSelectFamily: false,
          lookup(host, options, done) {
            end.note(host, JSON.stringify(options));
            done(null, family === 6 ? '::1' : '127.0.0.1', family === 6 ? 6 : 4);
          },
        });
        socket.on('connect', () => end.note(socket.remoteAddress, socket.remoteFamily));
        socket.resume();
        await end.closed(socket);
      }
      end.tell('done');
    },
  },
});
