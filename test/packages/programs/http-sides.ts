/** node:http and node:https: agents that keep connections, pipelining, chunks, expectations, aborts and upgrades. */

import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tls from 'node:tls';
import { cert, key } from '../../support/certificate.js';
import {
  bytes,
  closed,
  collect,
  compared,
  connectionsBegun,
  deferred,
  digest,
  fact,
  failure,
  host,
  listen,
  pieces,
  type Sides,
} from './side.js';

const MiB = 1 << 20;

function createServer(secure: boolean): http.Server {
  const server = secure ? https.createServer({ key, cert }) : http.createServer();
  const abandoned = deferred<string>();

  const routes: Record<string, (req: http.IncomingMessage, res: http.ServerResponse, rest: string) => unknown> = {
    echo: (req, res) => pipeline(req, res),
    async digest(req, res) {
      const body = await collect(req);
      res.setHeader('x-coding', req.headers['transfer-encoding'] ?? 'none');
      res.end(`${body.length} ${digest(body)}`);
    },
    number(_req, res, rest) {
      res.end(bytes(1000 + Number(rest), Number(rest)));
    },
    async large(_req, res, rest) {
      const body = bytes(Number(rest), 1);
      res.setHeader('content-length', body.length);
      await pipeline(Readable.from(pieces(body)), res);
    },
    /** Half of an answer; then the client goes away. */
    stall(_req, res) {
      res.writeHead(200, { 'content-length': 2 * MiB });
      res.write(bytes(MiB));
      res.on('close', () => abandoned.resolve(`closed with the answer ${res.writableEnded ? 'ended' : 'not ended'}`));
    },
    async abandoned(_req, res) {
      res.end(await abandoned.promise);
    },
    /** Half of an answer; then the server goes away. */
    cut(_req, res) {
      res.writeHead(200, { 'content-length': 2 * MiB });
      res.write(bytes(MiB), () => res.destroy());
    },
  };

  const serve = (req: http.IncomingMessage, res: http.ServerResponse): void => {
    const [, name = '', rest = ''] = (req.url ?? '').split('/');
    void routes[name]!(req, res, rest);
  };
  server.on('request', serve);
  server.on('checkContinue', (req: http.IncomingMessage, res: http.ServerResponse) => {
    if (req.headers['x-refuse'] !== undefined) {
      res.writeHead(417).end();
      return;
    }
    res.writeContinue();
    serve(req, res);
  });
  server.on('upgrade', (_req: http.IncomingMessage, socket: net.Socket, head: Buffer) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
    if (head.length > 0) socket.write(head);
    socket.on('close', () => fact('the upgraded connection is closed'));
    socket.pipe(socket);
  });
  return server;
}

class Client {
  readonly #port: number;
  readonly #secure: boolean;
  readonly agent: http.Agent;

  constructor(port: number, secure: boolean) {
    this.#port = port;
    this.#secure = secure;
    const options = { keepAlive: true, maxSockets: 4 };
    this.agent = secure ? new https.Agent(options) : new http.Agent(options);
  }

  request(path: string, options: http.RequestOptions = {}): http.ClientRequest {
    const trust = this.#secure ? { ca: cert, servername: 'localhost' } : {};
    const all = { port: this.#port, host, path, agent: this.agent, ...trust, ...options };
    return this.#secure ? https.request(all) : http.request(all);
  }

  async response(req: http.ClientRequest): Promise<http.IncomingMessage> {
    const [res] = (await once(req, 'response')) as [http.IncomingMessage];
    return res;
  }

  async get(path: string, options: http.RequestOptions = {}): Promise<Buffer> {
    return collect(await this.response(this.request(path, options).end()));
  }

  /** A connection without HTTP on it. */
  async raw(): Promise<net.Socket> {
    const options = { port: this.#port, host };
    const socket = this.#secure ? tls.connect({ ...options, ca: cert, servername: 'localhost' }) : net.connect(options);
    await once(socket, this.#secure ? 'secureConnect' : 'connect');
    return socket;
  }
}

async function keepAlive(client: Client): Promise<void> {
  const before = connectionsBegun();
  let right = 0;
  let reused = 0;
  const ask = async (i: number): Promise<void> => {
    const req = client.request(`/number/${i}`).end();
    const body = await collect(await client.response(req));
    if (body.equals(bytes(1000 + i, i))) right += 1;
    if (req.reusedSocket) reused += 1;
  };
  await Promise.all(Array.from({ length: 200 }, (_, i) => ask(i)));
  for (let i = 0; i < 20; i++) await ask(i);
  fact(`${right} of 220 answers over ${connectionsBegun() - before} connections, the last ${reused} on an idle one`);
}

async function bodies(client: Client): Promise<void> {
  fact(`download: ${compared(await client.get(`/large/${8 * MiB}`), bytes(8 * MiB, 1))}`);
  const body = bytes(4 * MiB, 2);
  const whole = client.request('/digest', { method: 'POST', headers: { 'content-length': body.length } });
  whole.end(body);
  const wholeAnswer = await client.response(whole);
  fact(`upload, ${wholeAnswer.headers['x-coding']}: ${await collect(wholeAnswer)}`);
  const chunked = client.request('/digest', { method: 'POST' });
  const answer = client.response(chunked);
  await pipeline(Readable.from(pieces(body, 10_007)), chunked);
  fact(`upload, ${(await answer).headers['x-coding']}: ${await collect(await answer)}`);
  const echo = client.request('/echo', { method: 'POST' });
  const echoed = client.response(echo);
  const sent = pipeline(Readable.from(pieces(body)), echo);
  fact(`both ways at once: ${compared(await collect(await echoed), body)}`);
  await sent;
}

async function pipelining(client: Client): Promise<void> {
  const socket = await client.raw();
  for (let i = 0; i < 20; i++) {
    const last = i === 19 ? 'connection: close\r\n' : '';
    socket.write(`GET /number/${i} HTTP/1.1\r\nhost: here\r\n${last}\r\n`);
  }
  let rest = await collect(socket);
  let right = 0;
  for (let i = 0; i < 20; i++) {
    const head = rest.indexOf('\r\n\r\n') + 4;
    const body = rest.subarray(head, head + 1000 + i);
    if (body.equals(bytes(1000 + i, i))) right += 1;
    rest = rest.subarray(head + body.length);
  }
  fact(`pipelined: ${right} of 20 answers in order, ${rest.length} bytes too many`);
}

async function expectations(client: Client): Promise<void> {
  const headers = { expect: '100-continue' };
  const req = client.request('/digest', { method: 'POST', headers });
  req.flushHeaders();
  await once(req, 'continue');
  req.end(bytes(MiB, 3));
  fact(`after 100: ${await collect(await client.response(req))}`);
  const refused = client.request('/digest', { method: 'POST', headers: { ...headers, 'x-refuse': 'yes' } });
  refused.flushHeaders();
  const res = await client.response(refused);
  await collect(res);
  refused.destroy();
  fact(`refused: ${res.statusCode}`);
}

async function aborts(client: Client): Promise<void> {
  const controller = new AbortController();
  const req = client.request('/stall', { signal: controller.signal }).end();
  const res = await client.response(req);
  await once(res, 'data');
  controller.abort();
  fact(`aborted: ${await failure(collect(res))}`);
  fact(`the server saw it: ${await client.get('/abandoned')}`);
  const cut = await client.response(client.request('/cut').end());
  let got = 0;
  cut.on('data', (chunk: Buffer) => {
    got += chunk.length;
  });
  const [error] = (await once(cut, 'error').catch((thrown) => [thrown])) as [NodeJS.ErrnoException];
  fact(`cut off: ${error.code} after ${got} bytes`);
}

async function upgrade(client: Client): Promise<void> {
  const req = client.request('/', { agent: false, headers: { connection: 'upgrade', upgrade: 'echo' } }).end();
  const [res, socket, head] = (await once(req, 'upgrade')) as [http.IncomingMessage, net.Socket, Buffer];
  const sent = bytes(2 * MiB, 4);
  const got = collect(socket);
  await pipeline(Readable.from(pieces(sent)), socket);
  fact(`upgraded, ${res.statusCode}: ${compared(Buffer.concat([head, await got]), sent)}`);
}

async function resumption(client: Client): Promise<void> {
  const options = { agent: new https.Agent() };
  const seen: boolean[] = [];
  for (let i = 0; i < 2; i++) {
    const req = client.request('/number/1', options).end();
    const res = await client.response(req);
    await collect(res);
    seen.push((req.socket as tls.TLSSocket).isSessionReused());
  }
  fact(`TLS sessions resumed: ${seen.join(', ')}`);
}

export function httpSides(secure: boolean): Sides {
  return {
    async server() {
      const server = createServer(secure);
      const port = await listen(server);
      return { port, close: () => closed(server) };
    },
    async client(port) {
      const client = new Client(port, secure);
      await keepAlive(client);
      await bodies(client);
      await pipelining(client);
      await expectations(client);
      await aborts(client);
      await upgrade(client);
      if (secure) await resumption(client);
      client.agent.destroy();
    },
  };
}
