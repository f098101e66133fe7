/** Answers every request with the same small body. */

import http from 'node:http';
import { noTotals, runServer } from './server.js';

const totals = noTotals();
const body = Buffer.alloc(64, 'x');

const server = http.createServer((_request, response) => {
  totals.requests++;
  totals.bytes += body.length;
  response.end(body);
});
server.on('connection', () => {
  totals.connections++;
});

runServer(server, totals);
