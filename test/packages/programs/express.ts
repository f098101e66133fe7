/** express, asked by axios and got over agents that keep their connections: JSON, files with ranges, streams, errors. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import axios from 'axios';
import express from 'express';
import got from 'got';
import { bytes, closed, compared, connectionsBegun, fact, host, listen, pieces, play } from './side.js';

const MiB = 1 << 20;
const file = bytes(5 * MiB, 11);

async function server() {
  const folder = mkdtempSync(join(tmpdir(), 'sockets-direct-express-'));
  writeFileSync(join(folder, 'large.bin'), file);
  const app = express();
  app.use('/files', express.static(folder));
  app.post('/json', express.json({ limit: '10mb' }), (req, res) => {
    res.json({ ...req.body, seen: true });
  });
  app.post('/raw', express.raw({ limit: '20mb', type: '*/*' }), (req, res) => {
    res.send(req.body);
  });
  app.get('/slow/:n', (req, res) => {
    Readable.from(pieces(bytes(100_000, Number(req.params.n)), 1000)).pipe(res);
  });
  app.get('/fails', () => {
    throw Object.assign(new Error('as asked for'), { status: 503 });
  });
  const answerErrors: express.ErrorRequestHandler = (error, _req, res, _next) => {
    res.status(error.status).send(error.message);
  };
  app.use(answerErrors);
  const serving = http.createServer(app);
  const close = async (): Promise<void> => {
    await closed(serving);
    rmSync(folder, { recursive: true });
  };
  return { port: await listen(serving), close };
}

async function client(port: number): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 5 });
  const baseURL = `http://${host}:${port}`;
  const api = axios.create({ baseURL, httpAgent: agent, proxy: false, validateStatus: () => true });

  const before = connectionsBegun();
  const rows = Array.from({ length: 20_000 }, (_, i) => ({ i, text: `row ${i}` }));
  const { data } = await api.post<{ rows: unknown[]; seen: boolean }>('/json', { rows });
  fact(`JSON: ${data.rows.length} rows, ${JSON.stringify(data.rows.at(-1))}, ${data.seen}`);
  const raw = await api.post<Buffer>('/raw', file, { responseType: 'arraybuffer' });
  fact(`raw: ${compared(raw.data, file)}`);
  const range = await api.get<Buffer>('/files/large.bin', {
    responseType: 'arraybuffer',
    headers: { range: 'bytes=1000000-2999999' },
  });
  fact(`range, ${range.status}: ${compared(range.data, file.subarray(1_000_000, 3_000_000))}`);
  const failed = await api.get('/fails');
  fact(`error: ${failed.status} ${failed.data}`);
  fact(`axios used ${connectionsBegun() - before} connection`);

  const slow = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const body = await got(`${baseURL}/slow/${i}`, { agent: { http: agent } }).buffer();
      return body.equals(bytes(100_000, i));
    }),
  );
  fact(`got: ${slow.filter((one) => one).length} of 50, ${connectionsBegun() - before} connections in all`);
  const download = got.stream(`${baseURL}/files/large.bin`, { agent: { http: agent } });
  const parts: Buffer[] = [];
  for await (const part of download) parts.push(part as Buffer);
  fact(`got stream: ${compared(Buffer.concat(parts), file)}`);
  agent.destroy();
}

await play({ server, client });
