/** Scenarios of protocols on top of sockets, and of what keeps a process running. */

import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { cert, key } from './certificate.js';
import { collect, listen, log, pattern, watch } from './scenario-tools.js';

export const protocolScenarios: Record<string, () => Promise<void>> = {
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

  /** Several requests in one piece of bytes: what a handler leaves to a tick or microtask runs before the next handler. */
  async httpPipelined() {
    const server = http.createServer(async (request, response) => {
      log('server', request.url);
      process.nextTick(() => log('server', request.url, 'tick'));
      await null;
      log('server', request.url, 'microtask');
      response.end(request.url);
    });
    const port = await listen(server);
    const socket = net.connect(port, '127.0.0.1');
    socket.write(['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    let answered = '';
    for await (const chunk of socket) {
      answered += chunk;
      if (answered.endsWith('/3')) break;
    }
    server.close();
  },

  /** The same for streams of HTTP/2; and a handler that throws harms nobody but its own stream. */
  async http2Ticks() {
    process.on('uncaughtException', (error) => log('server', error.message));
    const server = http2.createServer();
    server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      const path = headers[':path'];
      log('server', path);
      process.nextTick(() => log('server', path, 'tick'));
      void Promise.resolve().then(() => log('server', path, 'microtask'));
      stream.respond();
      if (path === '/3') throw new Error('thrown by a handler');
      stream.end(path);
    });
    const port = await listen(server);
    const session = http2.connect(`http://localhost:${port}`);
    await once(session, 'remoteSettings');
    const streams = ['/1', '/2', '/3'].map((path) => session.request({ ':path': path }).resume());
    await Promise.all([once(streams[0], 'close'), once(streams[1], 'close')]);
    streams[2].close(http2.constants.NGHTTP2_CANCEL);
    await once(streams[2], 'close');
    log('client', ...streams.map((stream) => stream.rstCode));
    session.close();
    server.close();
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
    const accepted = once(server, 'connection');
    const client = net.connect(await listen(server), '127.0.0.1');
    await Promise.all([accepted, once(client, 'connect')]);
    client.unref();
    server.unref();
    log('client', 'unreferenced');
  },

  async pausedSocketsHoldNothing() {
    // A socket that nobody reads does not keep the process alive.
    const server = net.createServer({ pauseOnConnect: true }, () => {});
    const accepted = once(server, 'connection');
    const client = net.connect(await listen(server), '127.0.0.1');
    await Promise.all([accepted, once(client, 'connect')]);
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
