/** One client of HTTP/2, which does everything in turn and tells what came of it. */

import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import { Checker, carrier, pattern, report } from '../../e2e/programs/support.js';
import { cert } from '../../support/certificate.js';

const [scheme, port] = process.argv.slice(2);
const url = `${scheme}://localhost:${port}`;
const session = http2.connect(url, { ca: cert });
await once(session, 'connect');
report('connected', carrier(session.socket as net.Socket));
session.on('error', () => {});

async function body(stream: http2.ClientHttp2Stream): Promise<string> {
  const chunks: Buffer[] = await stream.toArray();
  return Buffer.concat(chunks).toString();
}

/** How the stream ends: its error or 'fine', and the code. */
function end(stream: http2.ClientHttp2Stream): Promise<string> {
  return new Promise((resolve) => {
    let said = 'fine';
    stream.on('error', (error: NodeJS.ErrnoException) => {
      said = error.message;
    });
    stream.on('close', () => resolve(`${said} ${stream.rstCode}`));
    stream.resume();
  });
}

const size = 1_000_000;
const chunk = 50_000;

async function echo(): Promise<{ correct: boolean; bytes: number }> {
  const stream = session.request({ ':method': 'POST', ':path': '/echo' });
  const checker = new Checker();
  stream.on('data', (data: Buffer) => checker.take(data));
  const ended = once(stream, 'end');
  for (let at = 0; at < size; at += chunk) {
    if (!stream.write(pattern(at, chunk))) await once(stream, 'drain');
  }
  stream.end();
  await ended;
  return { correct: checker.correct, bytes: checker.bytes };
}

report('echoes', { results: await Promise.all([echo(), echo(), echo()]) });

const withTrailers = session.request({ ':path': '/trailers' });
const trailers = once(withTrailers, 'trailers');
const trailersBody = await body(withTrailers);
report('trailers', { body: trailersBody, checksum: ((await trailers) as [http2.IncomingHttpHeaders])[0].checksum });

const pushed = once(session, 'stream') as Promise<[http2.ClientHttp2Stream]>;
const withPush = session.request({ ':path': '/push' });
const [pushedStream] = await pushed;
report('push', { pushed: await body(pushedStream), body: await body(withPush) });

await new Promise<void>((resolve, reject) => {
  session.ping(Buffer.from('12345678'), (error, _duration, payload) => {
    report('ping', { error, payload: payload.toString() });
    if (error === null) resolve();
    else reject(error);
  });
});

report('destroyed', { end: await end(session.request({ ':path': '/destroy' })) });

const hopeless = session.request({ ':path': '/throw' });
const hopelessEnd = end(hopeless);
// The server has handled the request when it answers a later one.
await body(session.request({ ':path': '/other' }));
hopeless.close(http2.constants.NGHTTP2_CANCEL);
report('thrown', { end: await hopelessEnd });

// One burst: requests, and a cancellation of each second one.
const burst = Array.from({ length: 8 }, (_, i) => {
  const stream = session.request({ ':method': 'POST', ':path': '/echo' }, { endStream: false });
  if (i % 2 === 1) stream.close(http2.constants.NGHTTP2_CANCEL);
  else stream.end('small');
  return end(stream);
});
report('burst', { ends: await Promise.all(burst) });

const goaway = once(session, 'goaway');
const last = session.request({ ':path': '/goaway' });
const lastBody = body(last);
const [code] = (await goaway) as [number];
report('goaway', { code, body: await lastBody });
if (!session.closed) session.close();
if (!session.destroyed) await once(session, 'close');

const second = http2.connect(url, { ca: cert });
second.on('error', () => {});
const cutOff = end(second.request({ ':path': '/gone' }));
await once(second, 'close');
report('gone', { end: await cutOff });
