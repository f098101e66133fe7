/** Sockets as streams of node:stream. */

import domain from 'node:domain';
import { once } from 'node:events';
import net from 'node:net';
import { Duplex, finished, PassThrough, pipeline, Readable, Writable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { compare } from './support/compare.js';
import { serve } from './support/serve.js';

/** Adds up bytes so that the sum tells of lost, doubled and swapped ones. */
class Sum {
  #sum = 0;
  bytes = 0;

  add(chunk: Buffer): void {
    for (const byte of chunk) this.#sum = (Math.imul(this.#sum, 31) + byte) | 0;
    this.bytes += chunk.length;
  }

  toString(): string {
    return `${this.bytes} bytes, ${this.#sum}`;
  }
}

function bytes(length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) buffer[i] = (i * 7) ^ (i >> 9);
  return buffer;
}

await compare(import.meta.url, {
  'socket.pipe(socket) gives everything back': {
    server: (end) => serve(end, (socket) => socket.pipe(socket)),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      const sum = new Sum();
      socket.on('data', (data) => sum.add(data));
      socket.end(bytes(3 << 20));
      await end.closed(socket);
      end.note(sum);
      end.tell('done');
    },
  },

  '100 MiB in one write': {
    async server(end) {
      await serve(end, (socket) => {
        let count = 0;
        socket.on('data', (data) => {
          count += data.length;
        });
        socket.on('end', () => end.note(count));
      });
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      const size = 100 << 20;
      end.note(socket.write(Buffer.alloc(size, 'x'), (error) => end.note('written', error)));
      socket.end();
      socket.resume();
      await end.closed(socket);
      end.note(socket.bytesWritten);
      end.tell('done');
    },
  },

  'a long string in one write': {
    async server(end) {
      await serve(end, (socket) => {
        let text = '';
        socket.setEncoding('utf8').on('data', (data) => {
          text += data;
        });
        socket.on('end', () => end.note(text.length, text === 'ünï€'.repeat(500_000), socket.bytesRead));
      });
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      socket.end('ünï€'.repeat(500_000));
      socket.resume();
      await end.closed(socket);
      end.note(socket.bytesWritten);
      end.tell('done');
    },
  },

  'pipeline through a socket and transforms': {
    server: (end) =>
      serve(end, (socket) =>
        pipeline(socket, createGunzip(), createGzip(), socket, (error) => end.note('pipeline', error?.message)),
      ),
    async client(end) {
      const socket = net.connect({ port: end.port, host: '127.0.0.1', allowHalfOpen: true });
      const sum = new Sum();
      const unpacked = new Writable({
        write(chunk, _encoding, done) {
          sum.add(chunk);
          done();
        },
      });
      const text = Array.from({ length: 200 }, (_, i) => bytes(1000 + i));
      await Promise.all([
        new Promise<void>((resolve) => pipeline(Readable.from(text), createGzip(), socket, () => resolve())),
        new Promise<void>((resolve) => pipeline(socket, createGunzip(), unpacked, () => resolve())),
      ]);
      end.note(sum);
      await end.closed(socket);
      end.tell('done');
    },
  },

  'pipeline into a socket whose peer resets: one error, everything destroyed': {
    async server(end) {
      await serve(end, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      const endless = new Readable({
        read() {
          setImmediate(() => this.push(Buffer.alloc(1000)));
        },
      });
      await new Promise<void>((resolve) => {
        pipeline(endless, socket, (error) => {
          end.note(['ECONNRESET', 'EPIPE'].includes(error!.code!), endless.destroyed, socket.destroyed);
          resolve();
        });
      });
      end.tell('done');
    },
  },

  'for await over a socket': {
    server: (end) => serve(end, (socket) => socket.end(bytes(300_000))),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      const sum = new Sum();
      for await (const chunk of socket) sum.add(chunk as Buffer);
      end.note(sum, socket.destroyed, socket.readableEnded);
      const early = net.connect(end.port, '127.0.0.1');
      for await (const chunk of early) {
        end.note((chunk as Buffer).length > 0);
        break;
      }
      end.note(early.destroyed);
      await end.closed(early);
      end.tell('done');
    },
  },

  'for await over a socket that is reset throws': {
    server: (end) => serve(end, (socket) => socket.once('data', () => socket.resetAndDestroy())),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      socket.write('x');
      try {
        for await (const _chunk of socket) end.note('data');
        end.note('no error');
      } catch (error) {
        end.note((error as NodeJS.ErrnoException).code, (error as NodeJS.ErrnoException).syscall);
      }
      end.tell('done');
    },
  },

  'finished() tells when both directions are over': {
    server: (end) =>
      serve(end, (socket) => {
        finished(socket, (error) => end.note('finished', error?.code));
        socket.resume();
      }),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1', () => socket.end('x'));
      finished(socket, { writable: false }, (error) => end.note('readable', error?.code));
      finished(socket, (error) => end.note('both', error?.code));
      socket.resume();
      await end.closed(socket);
      const cut = net.connect(end.port, '127.0.0.1', () => cut.destroy());
      finished(cut, (error) => end.note('cut', error?.code));
      await end.closed(cut);
      end.tell('done');
    },
  },

  'readable and read(n)': {
    server: (end) => serve(end, (socket) => socket.end('0123456789')),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1').setEncoding('latin1');
      const got: string[] = [];
      socket.on('readable', () => {
        for (;;) {
          const part = socket.read(3) as string | null;
          if (part === null) break;
          got.push(part);
        }
      });
      await end.closed(socket);
      end.note(got.join(','));
      end.tell('done');
    },
  },

  'pipe() stops the source while the socket is full, and unpipe() detaches it': {
    async server(end) {
      await serve(end, (socket) => {
        socket.pause();
        void end.told('full').then(() => socket.resume());
        let count = 0;
        socket.on('data', (data) => {
          count += data.length;
        });
        socket.on('end', () => end.note(count));
      });
    },
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      const source = new PassThrough({ highWaterMark: 1 << 20 });
      source.pipe(socket);
      let sent = 0;
      const total = 40 << 20;
      const more = (): void => {
        while (sent < total && source.write(Buffer.alloc(1 << 20))) sent += 1 << 20;
      };
      source.on('drain', () => {
        sent += 1 << 20;
        more();
      });
      more();
      setTimeout(() => {
        end.note(sent < total, source.isPaused(), socket.writableNeedDrain);
        end.tell('full');
      }, 200);
      await once(socket, 'unpipe', { signal: AbortSignal.timeout(10) }).catch(() => end.note('still piped'));
      const done = new Promise<void>((resolve) => {
        const look = setInterval(() => {
          if (sent < total) return;
          clearInterval(look);
          resolve();
        }, 5);
      });
      await done;
      source.end();
      socket.resume();
      await end.closed(socket);
      end.tell('done');
    },
  },

  'Duplex.from and web streams over a socket': {
    server: (end) => serve(end, (socket) => socket.pipe(socket)),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      const { readable, writable } = Duplex.toWeb(socket);
      const writer = writable.getWriter();
      await writer.write(Buffer.from('over the web'));
      await writer.close();
      let text = '';
      for await (const chunk of readable) text += Buffer.from(chunk as Uint8Array).toString();
      end.note(text);
      await end.closed(socket);
      end.tell('done');
    },
  },

  'cork and end: everything that is corked is sent': {
    server: (end) => serve(end, (socket) => end.gather(socket)),
    async client(end) {
      for (const how of ['end', 'destroySoon', 'uncork']) {
        const socket = net.connect(end.port, '127.0.0.1');
        await once(socket, 'connect');
        socket.cork();
        socket.write(`${how} `);
        socket.write('corked');
        if (how === 'end') socket.end();
        if (how === 'destroySoon') socket.destroySoon();
        if (how === 'uncork') {
          process.nextTick(() => socket.uncork());
          socket.write('!');
          setTimeout(() => socket.end(), 20);
        }
        socket.resume();
        await end.closed(socket);
      }
      end.tell('done');
    },
  },

  'a domain takes the errors of its sockets': {
    server: (end) => serve(end, (socket) => socket.once('data', () => socket.resetAndDestroy())),
    async client(end) {
      const d = domain.create();
      const caught = new Promise<void>((resolve) => {
        d.on('error', (error: NodeJS.ErrnoException & { domainThrown?: boolean }) => {
          end.note(error.code, error.message, error.domainThrown);
          resolve();
        });
      });
      d.run(() => {
        const socket = net.connect(end.port, '127.0.0.1', () => socket.write('x'));
      });
      await caught;
      const second = domain.create();
      const thrown = new Promise<void>((resolve) => {
        second.on('error', (error) => {
          end.note(error.message);
          resolve();
        });
      });
      second.run(() => {
        const socket = net.connect(end.port, '127.0.0.1', () => {
          end.note((process as { domain?: unknown }).domain === second);
          socket.destroy();
          throw new Error('in connect');
        });
      });
      await thrown;
      end.tell('done');
    },
  },
});
