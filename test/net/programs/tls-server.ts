/**
 * Servers of TLS: one that offers protocols and asks for client certificates, one that is upgraded from plain text, and one
 * whose connections carry another TLS connection. All of them echo.
 */

import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { carrier, listen, report } from '../../e2e/programs/support.js';
import { cert, key } from '../../support/certificate.js';

const options: tls.TlsOptions = { key, cert, ca: cert };

function echo(socket: tls.TLSSocket): void {
  report('secure', {
    ...carrier(socket),
    alpn: socket.alpnProtocol,
    authorized: socket.authorized,
    reused: socket.isSessionReused(),
  });
  socket.on('error', () => {});
  socket.pipe(socket);
}

await listen(
  tls.createServer({ ...options, ALPNProtocols: ['b', 'a'], requestCert: true, rejectUnauthorized: false }, echo),
);

/** As a mail server: the client says so, the server agrees, and both go on in TLS on the same socket. */
await listen(
  net.createServer((socket) => {
    socket.once('data', (line: Buffer) => {
      if (line.toString() !== 'STARTTLS\r\n') return;
      socket.write('220 go ahead\r\n');
      echo(new tls.TLSSocket(socket, { ...options, isServer: true } as tls.TLSSocketOptions));
    });
  }),
);

await listen(
  tls.createServer(options, (outer) => {
    echo(new tls.TLSSocket(outer, { ...options, isServer: true } as tls.TLSSocketOptions));
  }),
);

await listen(
  https.createServer({ key, cert }, (request, response) => {
    request.pipe(response);
  }),
);
