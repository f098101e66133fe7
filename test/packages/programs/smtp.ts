/** nodemailer and smtp-server: STARTTLS, which puts TLS on a connection that is in use; many mails over few connections. */

import { createHash } from 'node:crypto';
import nodemailer from 'nodemailer';
import { SMTPServer } from 'smtp-server';
import { cert, key } from '../../support/certificate.js';
import { bytes, connectionsBegun, digest, fact, host, listen, play } from './side.js';

const attachment = bytes(1 << 20, 31);

async function server() {
  let secured = 0;
  let right = 0;
  const smtp = new SMTPServer({
    key,
    cert,
    authOptional: true,
    onSecure(_socket, _session, done) {
      secured += 1;
      done();
    },
    onData(stream, session, done) {
      const parts: Buffer[] = [];
      const seen = createHash('sha256');
      stream.on('data', (part: Buffer) => {
        parts.push(part);
        seen.update(part);
      });
      stream.on('end', () => {
        const encoded = Buffer.concat(parts).toString('latin1').split('base64\r\n').pop() ?? '';
        const body = encoded.slice(encoded.indexOf('\r\n\r\n')).split('\r\n--')[0] ?? '';
        if (session.secure && digest(Buffer.from(body, 'base64')) === digest(attachment)) right += 1;
        done(null, 'taken');
      });
    },
  });
  smtp.on('error', () => {});
  const port = await listen(smtp.server);
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      smtp.close(() => {
        fact(`${right} mails with their attachment as sent, ${secured} connections with TLS`);
        resolve();
      });
    });
  return { port, close };
}

async function client(port: number): Promise<void> {
  const transport = nodemailer.createTransport({
    host,
    port,
    pool: true,
    maxConnections: 2,
    requireTLS: true,
    tls: { ca: cert, servername: 'localhost' },
  });
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      transport.sendMail({
        from: 'a@example.org',
        to: `b${i}@example.org`,
        subject: `mail ${i}`,
        text: 'see the attachment',
        attachments: [{ filename: 'bytes.bin', content: attachment }],
      }),
    ),
  );
  fact(`${answers.filter(({ response }) => response.startsWith('250')).length} of 8 mails taken`);
  fact(`${connectionsBegun()} connections`);
  transport.close();
}

await play({ server, client });
