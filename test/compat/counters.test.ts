/** What a socket says about itself while bytes are under way: counts, lengths, states. */

import { once } from 'node:events';
import net from 'node:net';
import { compare } from './support/compare.js';
import type { End, ServerEnd } from './support/scenario.js';
import { serve } from './support/serve.js';

function state(socket: net.Socket): string {
  const { bytesRead, bytesWritten, writableLength, bufferSize, readyState, pending, connecting } = socket;
  const { writableNeedDrain, writableHighWaterMark, readableHighWaterMark } = socket;
  return JSON.stringify({
    bytesRead,
    bytesWritten,
    writableLength,
    bufferSize,
    readyState,
    pending,
    connecting,
    writableNeedDrain,
    writableHighWaterMark,
    readableHighWaterMark,
  });
}

/** A server that reads everything, and notes how many bytes there were. */
function sink(end: ServerEnd, options: net.ServerOpts = {}): Promise<void> {
  return serve(
    end,
    (socket) => {
      socket.on('end', () => end.note('end', state(socket)));
      socket.on('close', () => end.note('close', state(socket)));
      socket.resume();
    },
    options,
  );
}

async function finish(end: End, socket: net.Socket): Promise<void> {
  await end.closed(socket);
  end.note('closed', state(socket));
  end.tell('done');
}

await compare(import.meta.url, {
  'counts from before connect to after close': {
    server: (end) => sink(end),
    async client(end) {
      const socket = new net.Socket();
      end.note(state(socket));
      socket.connect(end.port, '127.0.0.1');
      end.note(state(socket));
      socket.write('four');
      socket.write('ünï', 'latin1');
      socket.write('ünï');
      socket.write(Buffer.alloc(5));
      end.note(state(socket));
      await once(socket, 'connect');
      end.note(state(socket));
      socket.end('6 more', () => end.note(state(socket)));
      socket.resume();
      await finish(end, socket);
    },
  },

  'counts while a write is pending, and after destroy()': {
    server: (end) =>
      serve(end, (socket) => {
        socket.pause();
        void end.told('destroyed').then(() => socket.destroy());
      }),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1').on('error', () => {});
      await once(socket, 'connect');
      const size = 48 << 20;
      end.note(socket.write(Buffer.alloc(size), (error) => end.note('first', error?.message)));
      end.note(socket.write('text', (error) => end.note('second', error?.message)));
      end.note(state(socket));
      await new Promise((resolve) => setImmediate(resolve));
      end.note(state(socket));
      socket.destroy();
      end.note(state(socket));
      end.tell('destroyed');
      await finish(end, socket);
    },
  },

  'counts of what a corked socket holds': {
    server: (end) => sink(end),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.cork();
      socket.write('one');
      socket.write('ü', 'latin1');
      socket.write('f0f1', 'hex');
      end.note(state(socket), socket.writableCorked);
      socket.cork();
      socket.uncork();
      end.note(state(socket), socket.writableCorked);
      socket.uncork();
      end.note(state(socket), socket.writableCorked);
      socket.cork();
      socket.write('last');
      socket.end(() => end.note('ended', state(socket)));
      end.note(state(socket), socket.writableCorked);
      socket.resume();
      await finish(end, socket);
    },
  },

  'bytes that were read and not yet taken': {
    server: (end) => serve(end, (socket) => socket.end(Buffer.alloc(1000))),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'readable');
      end.note(state(socket), socket.readableLength);
      end.note(socket.read(100).length, state(socket), socket.readableLength);
      end.note(socket.read(100).length, socket.readableLength);
      socket.unshift(Buffer.alloc(7));
      end.note(socket.bytesRead, socket.readableLength);
      socket.resume();
      await finish(end, socket);
    },
  },

  'empty writes': {
    server: (end) => sink(end),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      socket.write('', () => end.note('before connect'));
      await once(socket, 'connect');
      end.note(socket.write('', () => end.note('string', state(socket))));
      end.note(socket.write(Buffer.alloc(0), () => end.note('buffer', state(socket))));
      socket.cork();
      socket.write('');
      socket.write(Buffer.alloc(0), () => end.note('corked', state(socket)));
      socket.uncork();
      await new Promise((resolve) => setImmediate(resolve));
      socket.end('', () => end.note('ended'));
      socket.resume();
      await finish(end, socket);
    },
  },

  'every encoding': {
    server: (end) =>
      serve(end, (socket) => {
        const parts: Buffer[] = [];
        socket.on('data', (data) => parts.push(data));
        socket.on('end', () => end.note(Buffer.concat(parts).toString('hex')));
      }),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1');
      await once(socket, 'connect');
      for (const encoding of ['utf8', 'latin1', 'binary', 'ascii', 'utf16le', 'ucs2', 'base64', 'base64url', 'hex']) {
        socket.write(encoding === 'hex' ? 'c3a9' : 'Zm9vü€', encoding as BufferEncoding);
      }
      socket.setDefaultEncoding('latin1');
      socket.write('ü');
      socket.write(new Uint8Array([1, 2, 3]));
      socket.end('ff00', 'hex');
      socket.resume();
      await finish(end, socket);
    },
  },

  'setEncoding puts characters together that come in pieces': {
    server: (end) =>
      serve(end, (socket) => {
        const bytes = Buffer.from('€uro ünï 𝄞');
        let at = 0;
        const more = (): void => {
          if (at === bytes.length) socket.end();
          else socket.write(bytes.subarray(at++, at), () => setImmediate(more));
        };
        more();
      }),
    async client(end) {
      const socket = net.connect(end.port, '127.0.0.1').setEncoding('utf8');
      end.gather(socket);
      await finish(end, socket);
    },
  },

  'the high water mark tells when to stop writing': {
    since: [20, 0],
    server: (end) => sink(end, { highWaterMark: 1000 }),
    async client(end) {
      const socket = new net.Socket({ highWaterMark: 100, writableHighWaterMark: 100 } as net.SocketConstructorOpts);
      socket.connect(end.port, '127.0.0.1');
      end.note(socket.write(Buffer.alloc(99)), socket.writableNeedDrain);
      end.note(socket.write(Buffer.alloc(1)), socket.writableNeedDrain);
      socket.on('drain', () => end.note('drain', socket.writableLength));
      await once(socket, 'drain');
      end.note(socket.write(Buffer.alloc(100)), state(socket));
      socket.end();
      socket.resume();
      await finish(end, socket);
    },
  },
});
