/**
 * Small programs of unmodified node:net, node:tls, node:http code. Each prints what its two sides have seen; `test/net`
 * runs each of them on stock Node and with the drop-in and compares the output.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import net from 'node:net';
import { protocolScenarios } from './protocol-scenarios.js';
import { collect, digest, lifeEvents, listen, log, pattern, sides, watch } from './scenario-tools.js';

export const scenarios: Record<string, () => Promise<void>> = {
  async echo() {
    const server = net.createServer((socket) => {
      watch('server', socket, lifeEvents);
      socket.on('data', (data) => socket.write(data));
    });
    const port = await listen(server);
    const client = net.connect(port, '127.0.0.1');
    watch('client', client, lifeEvents);
    client.write('hello ');
    client.write(Buffer.from('world'));
    let text = '';
    client.setEncoding('utf8').on('data', (data) => {
      text += data;
      if (text.length === 11) client.end();
    });
    await once(client, 'close');
    log('client', text, client.bytesRead, client.bytesWritten);
    server.close();
    await once(server, 'close');
  },

  async encodings() {
    const server = net.createServer((socket) => socket.pipe(socket));
    const client = net.connect(await listen(server), '127.0.0.1');
    client.cork();
    for (const encoding of ['utf8', 'latin1', 'ascii', 'utf16le', 'hex', 'base64', 'base64url'] as const) {
      client.write(encoding === 'hex' ? 'c3a9' : 'Zm9v é', encoding);
    }
    client.write(new Uint8Array([1, 2, 3]));
    client.uncork();
    client.end();
    log('client', (await collect(client)).toString('hex'), client.bytesWritten);
    server.close();
  },

  async bulk() {
    const size = 12 << 20;
    const server = net.createServer({ allowHalfOpen: true }, async (socket) => {
      log('server', digest(await collect(socket)), socket.bytesRead);
      socket.end(pattern(size, 2));
    });
    const client = net.connect({ port: await listen(server), host: '127.0.0.1', allowHalfOpen: true });
    const bytes = pattern(size, 1);
    for (let offset = 0; offset < size; ) {
      const length = 1 + ((offset * 7919) % 200_000);
      if (!client.write(bytes.subarray(offset, offset + length))) await once(client, 'drain');
      offset += length;
    }
    client.end();
    log('client', digest(await collect(client)), client.bytesRead, client.bytesWritten);
    server.close();
  },

  async bothWriteFirst() {
    const size = 1 << 20;
    const server = net.createServer((socket) => {
      socket.write(pattern(size, 3), () => log('server', 'written'));
      socket.end();
      collect(socket).then((bytes) => log('server', digest(bytes)));
    });
    const client = net.connect({ port: await listen(server), host: '127.0.0.1', allowHalfOpen: true });
    client.end(pattern(size, 4));
    log('client', digest(await collect(client)));
    if (!client.destroyed) await once(client, 'close');
    server.close();
  },

  async halfClose() {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      watch('server', socket, lifeEvents);
      socket.resume().on('end', () => setTimeout(() => socket.end('late'), 30));
    });
    const client = net.connect({ port: await listen(server), host: '127.0.0.1', allowHalfOpen: true });
    watch('client', client, lifeEvents);
    client.end('early');
    client.on('data', (data) => log('client', data, client.readyState));
    client.on('end', () => log('client', client.readyState, client.destroyed));
    await once(client, 'close');
    server.close();
  },

  async reset() {
    const server = net.createServer((socket) => {
      watch('server', socket, ['error', 'close', 'end']);
      socket.on('data', () => socket.resetAndDestroy());
    });
    const client = net.connect(await listen(server), '127.0.0.1', () => client.write('x'));
    watch('client', client, ['error', 'close', 'end']);
    await once(client, 'close').catch(() => {});
    if (!client.closed) await once(client, 'close');
    log('client', client.destroyed, client.readyState);
    server.close();
  },

  async closeWithUnreadBytes() {
    const server = net.createServer({ pauseOnConnect: true }, (socket) => setTimeout(() => socket.destroy(), 50));
    const client = net.connect(await listen(server), '127.0.0.1', () => client.write('never read'));
    client.resume();
    watch('client', client, ['error', 'close', 'end']);
    await new Promise((resolve) => client.on('close', resolve));
    server.close();
  },

  async destroyWhileConnecting() {
    const server = net.createServer((socket) => socket.on('error', () => {}).resume());
    const port = await listen(server);
    const client = net.connect(port, '127.0.0.1');
    watch('client', client, lifeEvents);
    log('client', client.connecting, client.readyState, client.pending);
    client.destroy();
    await once(client, 'close');
    const late = net.connect(port, '127.0.0.1');
    watch('late', late, lifeEvents);
    process.nextTick(() => late.destroy());
    await once(late, 'close');
    server.close();
  },

  async abortSignal() {
    const server = net.createServer((socket) => socket.on('error', () => {}).resume());
    const port = await listen(server);
    for (const when of ['at once', 'later']) {
      const controller = new AbortController();
      const client = new net.Socket({ signal: controller.signal } as net.SocketConstructorOpts);
      client.connect(port, '127.0.0.1');
      client.on('error', (error) => log('client', when, error.name, (error as NodeJS.ErrnoException).code));
      if (when === 'at once') controller.abort();
      else client.on('connect', () => controller.abort());
      await new Promise((resolve) => client.on('close', resolve));
    }
    server.close();
  },

  async refused() {
    const server = net.createServer();
    const port = await listen(server);
    server.close();
    await once(server, 'close');
    const client = net.connect(port, '127.0.0.1');
    watch('client', client, lifeEvents);
    await new Promise((resolve) => client.on('close', resolve));
  },

  async writeAfterPeerClosed() {
    const server = net.createServer((socket) => socket.destroy());
    const client = net.connect({ port: await listen(server), host: '127.0.0.1', allowHalfOpen: true });
    client.resume();
    await once(client, 'end');
    client.on('error', (error: NodeJS.ErrnoException) => log('client', error.code, error.syscall));
    const timer = setInterval(() => client.write('x'), 5);
    await new Promise((resolve) => client.on('close', resolve));
    clearInterval(timer);
    server.close();
  },

  async onreadOption() {
    const server = net.createServer((socket) => socket.end(pattern(1000, 5)));
    const parts: Buffer[] = [];
    const buffers = [Buffer.alloc(300), Buffer.alloc(170)];
    let turn = 0;
    const client = net.connect({
      port: await listen(server),
      host: '127.0.0.1',
      onread: {
        buffer: () => buffers[turn++ % 2],
        callback(length, bytes) {
          log('client', length, bytes.length);
          parts.push(Buffer.from(bytes.subarray(0, length)));
          if (parts.length !== 2) return true;
          setTimeout(() => client.resume(), 20);
          client.pause();
          return true;
        },
      },
    });
    await once(client, 'close');
    log('client', digest(Buffer.concat(parts)), client.bytesRead);
    server.close();
  },

  async pauseOnConnect() {
    const server = net.createServer({ pauseOnConnect: true }, (socket) => {
      log('server', socket.isPaused(), socket.bytesRead);
      setTimeout(() => {
        log('server', socket.bytesRead);
        socket.on('data', (data) => log('server', data)).resume();
      }, 40);
    });
    const client = net.connect(await listen(server), '127.0.0.1', () => client.end('kept'));
    client.resume();
    await once(client, 'close');
    server.close();
  },

  async maxConnections() {
    const server = net.createServer((socket) => socket.resume());
    server.maxConnections = 1;
    server.on('drop', (data) => log('server', 'drop', data?.localAddress, data?.remoteAddress, data?.remoteFamily));
    const port = await listen(server);
    const first = net.connect(port, '127.0.0.1');
    await once(first, 'connect');
    const second = net.connect(port, '127.0.0.1');
    watch('second', second, ['connect', 'end', 'close']);
    second.on('error', () => {}).resume();
    await once(second, 'close');
    first.end();
    server.close();
    await once(server, 'close');
  },

  async pauseAndResume() {
    const server = net.createServer((socket) => {
      let n = 0;
      const timer = setInterval(() => {
        if (n < 20) socket.write(`${n++} `);
        else {
          clearInterval(timer);
          socket.end();
        }
      }, 1);
    });
    const client = net.connect(await listen(server), '127.0.0.1');
    let text = '';
    client.on('data', (data) => {
      text += data;
      client.pause();
      setTimeout(() => client.resume(), 3);
    });
    await once(client, 'close');
    log('client', text);
    server.close();
  },

  async timeouts() {
    const server = net.createServer((socket) => {
      socket.setTimeout(60, () => {
        log('server', 'timeout');
        socket.end('bye');
      });
    });
    const client = net.connect(await listen(server), '127.0.0.1');
    client.resume();
    await once(client, 'close');
    server.close();
  },

  async families() {
    for (const [host, target] of [
      ['::', '127.0.0.1'],
      ['::', '::1'],
      ['::', '0.0.0.0'],
      ['0.0.0.0', 'localhost'],
      ['::1', 'localhost'],
      ['127.0.0.1', '::ffff:127.0.0.1'],
    ]) {
      const server = net.createServer((socket) => {
        const { localAddress, localFamily, remoteAddress, remoteFamily } = socket;
        log('server', localAddress, localFamily, remoteAddress, remoteFamily, socket.localPort === port);
        socket.end();
      });
      const port = await listen(server, host);
      const client = net.connect(port, target);
      client.resume();
      client.on('error', (error: NodeJS.ErrnoException) => log('client', error.code));
      client.on('connect', () => {
        const { localAddress, localFamily, remoteAddress, remoteFamily, remotePort } = client;
        log('client', localAddress, localFamily, remoteAddress, remoteFamily, remotePort === port);
        log('client', JSON.stringify({ ...client.address(), port: 0 }));
      });
      await new Promise((resolve) => client.on('close', resolve));
      server.close();
    }
  },

  async serverClosesLater() {
    const server = net.createServer((socket) => socket.pipe(socket));
    const port = await listen(server);
    const accepted = once(server, 'connection');
    const client = net.connect(port, '127.0.0.1');
    await Promise.all([accepted, once(client, 'connect')]);
    server.close(() => log('server', 'closed'));
    const refused = net
      .connect(port, '127.0.0.1')
      .on('error', (error: NodeJS.ErrnoException) => log('client', error.code));
    await new Promise((resolve) => refused.on('close', resolve));
    client.end('still here');
    log('client', await collect(client));
  },

  async asyncContext() {
    const storage = new AsyncLocalStorage<string>();
    const store = (): string => String(storage.getStore());
    const server = storage.run('listen', () =>
      net.createServer((socket) => {
        log('server', 'connection', store());
        socket.on('data', (data) => {
          log('server', 'data', store());
          storage.run('server write', () => socket.write(data, () => log('server', 'written', store())));
        });
        socket.on('end', () => log('server', 'end', store()));
        socket.on('close', () => log('server', 'close', store()));
      }),
    );
    const port = await storage.run('listening', () => listen(server));
    const client = storage.run('connect', () => net.connect(port, '127.0.0.1'));
    client.on('connect', () => log('client', 'connect', store()));
    client.on('data', () => {
      log('client', 'data', store());
      storage.run('end', () => client.end(() => log('client', 'finished', store())));
    });
    client.on('end', () => log('client', 'end', store()));
    storage.run('write', () => client.write('x', () => log('client', 'written', store())));
    await new Promise<void>((resolve) => {
      client.on('close', () => {
        log('client', 'close', store());
        resolve();
      });
    });
    server.close();
  },

  async throwingHandler() {
    process.on('uncaughtException', (error) => log('process', error.message));
    const server = net.createServer((socket) => {
      let n = 0;
      const timer = setInterval(() => {
        if (n < 3) socket.write(`${n++}`);
        else {
          clearInterval(timer);
          socket.end();
        }
      }, 10);
    });
    const client = net.connect(await listen(server), '127.0.0.1');
    client.on('data', (data) => {
      log('client', data);
      throw new Error(`thrown for ${data}`);
    });
    client.on('end', () => log('client', 'end'));
    await new Promise((resolve) => client.on('close', resolve));
    server.close();
  },

  async throwingTicks() {
    process.on('uncaughtException', (error) => log('process', error.message));
    const server = net.createServer((socket) => socket.on('data', (data) => socket.end(data)));
    const port = await listen(server);
    let closed = 0;
    await new Promise<void>((resolve) => {
      for (const word of ['a', 'b', 'c']) {
        const client = net.connect(port, '127.0.0.1', () => client.write(word));
        client.on('data', (data) => {
          process.nextTick(() => {
            throw new Error(`tick of ${data}`);
          });
          process.nextTick(() => log(word, 'next tick'));
        });
        client.on('close', () => {
          closed += 1;
          if (closed === 3) resolve();
        });
      }
    });
    server.close();
  },

  async ticksBetweenEvents() {
    // Several sockets have data in one turn; each one's ticks and microtasks run before the next one's data.
    const server = net.createServer((socket) => socket.on('data', () => socket.end('x')));
    const port = await listen(server);
    const clients = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const client = net.connect(port, '127.0.0.1');
        await once(client, 'connect');
        return client;
      }),
    );
    let open = 0;
    let closed = 0;
    await new Promise<void>((resolve) => {
      for (const client of clients) {
        client.on('data', () => {
          log('client', 'data', open);
          open += 1;
          process.nextTick(() => Promise.resolve().then(() => process.nextTick(() => (open -= 1))));
        });
        client.on('close', () => {
          closed += 1;
          if (closed === clients.length) resolve();
        });
        client.write('go');
      }
    });
    server.close();
  },

  ...protocolScenarios,
};

/** Runs one scenario and prints what its sides have seen when the process ends. */
export function run(name: string): void {
  process.on('exit', () => {
    for (const side of Object.keys(sides).sort()) process.stdout.write(`[${side}]\n${sides[side].join('\n')}\n`);
  });
  scenarios[name]().catch((error) => {
    log('failure', error.stack);
    process.exit(1);
  });
}
