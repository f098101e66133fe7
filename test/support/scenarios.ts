/**
 * Small programs of unmodified node:net, node:tls, node:http code. Each prints what its two sides have seen; `test/net`
 * runs each of them on stock Node and with the drop-in and compares the output.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { cert, key } from './certificate.js';

/** Lines by side: what the two ends see is compared, not how their turns interleave. */
const sides: Record<string, string[]> = {};

function log(side: string, ...words: unknown[]): void {
  sides[side] ??= [];
  sides[side].push(words.map(String).join(' '));
}

function watch(side: string, emitter: NodeJS.EventEmitter, names: string[]): void {
  for (const name of names) {
    emitter.on(name, (argument: unknown) => {
      const error = argument as NodeJS.ErrnoException;
      if (name === 'error')
        log(side, name, error.code, error.syscall, error.errno, error.message.replace(/\d{4,}/g, 'N'));
      else log(side, name, typeof argument === 'boolean' ? argument : '');
    });
  }
}

const lifeEvents = ['connect', 'ready', 'end', 'finish', 'close', 'error', 'timeout'];

async function listen(server: net.Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

function pattern(bytes: number, seed: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  let x = seed;
  for (let i = 0; i < bytes; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff;
    buffer[i] = x >> 16;
  }
  return buffer;
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

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
    const client = net.connect(port, '127.0.0.1');
    await once(client, 'connect');
    await new Promise((resolve) => setTimeout(resolve, 10));
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

  async http() {
    const server = http.createServer(async (request, response) => {
      const body = await collect(request);
      response.end(`${request.method} ${request.url} ${body.length}`);
    });
    const port = await listen(server);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    let sockets = 0;
    for (let i = 0; i < 5; i++) {
      const request = http.request({ port, host: '127.0.0.1', agent, method: 'POST', path: `/${i}` });
      request.on('socket', (socket) => socket.once('connect', () => (sockets += 1)));
      request.end('x'.repeat(i * 40_000));
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      log('client', (await collect(response)).toString(), response.headers.connection);
    }
    log('client', sockets);
    const text = await (await fetch(`http://127.0.0.1:${port}/fetched`)).text();
    log('client', text);
    agent.destroy();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    process.exit();
  },

  async httpUpgrade() {
    const server = http.createServer();
    server.on('upgrade', (_request, socket, head) => {
      log('server', 'upgrade', head.length);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.pipe(socket);
    });
    const port = await listen(server);
    const request = http
      .request({ port, host: '127.0.0.1', headers: { Connection: 'Upgrade', Upgrade: 'echo' } })
      .end();
    const [response, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, net.Socket];
    log('client', response.statusCode);
    socket.end('through the tunnel');
    log('client', (await collect(socket)).toString());
    server.close();
  },

  async https() {
    const server = https.createServer({ key, cert }, (request, response) => request.pipe(response));
    const port = await listen(server);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: cert });
    for (let i = 0; i < 3; i++) {
      const request = https.request({ port, host: '127.0.0.1', agent, method: 'POST', servername: 'localhost' });
      const body = pattern(i * 300_000, i);
      request.end(body);
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      log('client', (await collect(response)).equals(body), response.statusCode);
    }
    agent.destroy();
    server.closeAllConnections();
    server.close();
  },

  async http2() {
    for (const secure of [false, true]) {
      const server = secure ? http2.createSecureServer({ key, cert }) : http2.createServer();
      server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
        stream.respond({ ':status': 200, method: headers[':method'] });
        stream.pipe(stream);
      });
      const port = await listen(server as net.Server);
      const session = http2.connect(`http${secure ? 's' : ''}://localhost:${port}`, { ca: cert });
      session.on('error', (error) => log('client', error.message));
      await Promise.all(
        Array.from({ length: 8 }, async (_, i) => {
          const body = pattern(i * 50_000, i);
          const stream = session.request({ ':method': 'POST', ':path': `/${i}` });
          stream.end(body);
          log(`client ${i}`, (await collect(stream)).equals(body));
        }),
      );
      await new Promise<void>((resolve) => session.close(resolve));
      server.close();
    }
  },

  async tls() {
    const server = tls.createServer({ key, cert }, (socket) => {
      log('server', socket.encrypted, socket.authorized);
      socket.on('error', (error: NodeJS.ErrnoException) => log('server', error.code));
      socket.pipe(socket);
    });
    const port = await listen(server);
    const options = { ca: cert, servername: 'localhost' };
    const body = pattern(400_000, 9);
    const ways: Record<string, () => Promise<tls.TLSSocket>> = {
      'by port': async () => tls.connect({ ...options, port, host: '127.0.0.1' }),
      'by name': async () => tls.connect({ ...options, port, host: 'localhost' }),
      'over a connected socket': async () => {
        const socket = net.connect(port, '127.0.0.1');
        await once(socket, 'connect');
        return tls.connect({ ...options, socket });
      },
      'over a connecting socket': async () => tls.connect({ ...options, socket: net.connect(port, '127.0.0.1') }),
      'over a connecting socket by name': async () =>
        tls.connect({ ...options, socket: net.connect(port, 'localhost') }),
    };
    for (const [way, connect] of Object.entries(ways)) {
      const client = await connect();
      watch(way, client, ['secureConnect', 'end', 'close', 'error']);
      client.on('session', () => log(way, 'session'));
      client.end(body);
      log(way, (await collect(client)).equals(body), client.authorized, client.getProtocol());
      if (!client.closed) await once(client, 'close');
    }
    server.close();
  },

  async tlsReset() {
    const server = tls.createServer({ key, cert }, (socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => log('server', error.code));
      socket.on('close', () => log('server', 'close')).resume();
    });
    const raw: net.Socket[] = [];
    server.on('connection', (socket) => raw.push(socket));
    const client = tls.connect({ port: await listen(server), host: '127.0.0.1', ca: cert, servername: 'localhost' });
    watch('client', client, ['secureConnect', 'close', 'error']);
    client.resume();
    await once(client, 'secureConnect');
    setTimeout(() => raw[0].resetAndDestroy(), 30);
    await new Promise((resolve) => client.on('close', resolve));
    server.close();
  },

  async unrefServer() {
    // The process must end although server and connection are open.
    const server = net.createServer((socket) => socket.unref());
    const client = net.connect(await listen(server), '127.0.0.1');
    await once(client, 'connect');
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.unref();
    server.unref();
    log('client', 'unreferenced');
  },

  async pausedSocketsHoldNothing() {
    // A socket that nobody reads does not keep the process alive.
    const server = net.createServer({ pauseOnConnect: true }, () => {});
    const client = net.connect(await listen(server), '127.0.0.1');
    await once(client, 'connect');
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.pause();
    client.read(0);
    server.unref();
    client.unref();
    log('client', 'paused');
  },

  async referencedSocketHolds() {
    const server = net.createServer((socket) => setTimeout(() => socket.end('after all'), 80).unref());
    const client = net.connect(await listen(server), '127.0.0.1');
    await once(server, 'connection');
    server.close();
    client.on('data', (data) => log('client', data));
    client.on('close', () => log('client', 'close'));
  },
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
