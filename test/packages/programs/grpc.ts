/** @grpc/grpc-js: unary calls, streams of either side and of both, cancelling, deadlines, errors, metadata. */

import { once } from 'node:events';
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { cert, key } from '../../support/certificate.js';
import { bytes, compared, connectionsBegun, deferred, digest, fact, host, play } from './side.js';

const secure = process.argv.includes('--tls');
const MiB = 1 << 20;
/** Lets large messages through, and names the host that the certificate is for. */
const options = { 'grpc.max_receive_message_length': 16 * MiB, 'grpc.ssl_target_name_override': 'localhost' };

const same = (data: Buffer): Buffer => data;
function method(path: string, requestStream: boolean, responseStream: boolean) {
  const types = {
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  return { path: `/test.Bytes/${path}`, requestStream, responseStream, ...types };
}
const service = {
  echo: method('Echo', false, false),
  fail: method('Fail', false, false),
  never: method('Never', false, false),
  seen: method('Seen', false, false),
  split: method('Split', false, true),
  endless: method('Endless', false, true),
  join: method('Join', true, false),
  chat: method('Chat', true, true),
};

async function server() {
  const cancelled = deferred();
  const serving = new Server(options);
  serving.addService(service, {
    echo(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      const trailer = new Metadata();
      trailer.set('length', String(call.request.length));
      done(null, call.request, trailer);
    },
    fail(_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      done({ code: status.FAILED_PRECONDITION, details: 'as asked for' });
    },
    never() {},
    seen(_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      void cancelled.promise.then(() => done(null, Buffer.from('cancelled')));
    },
    async split(call: ServerWritableStream<Buffer, Buffer>) {
      for (let at = 0; at < call.request.length; at += 10_000) {
        if (!call.write(call.request.subarray(at, at + 10_000))) await once(call, 'drain');
      }
      call.end();
    },
    endless(call: ServerWritableStream<Buffer, Buffer>) {
      call.on('cancelled', () => cancelled.resolve());
      const more = (): void => {
        while (!call.cancelled && call.write(bytes(10_000)));
      };
      call.on('drain', more);
      more();
    },
    join(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      const parts: Buffer[] = [];
      call.on('data', (part: Buffer) => parts.push(part));
      call.on('end', () => done(null, Buffer.from(digest(Buffer.concat(parts)))));
    },
    chat(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
    },
  });
  const trust = secure
    ? ServerCredentials.createSsl(null, [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }])
    : ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    serving.bindAsync(`${host}:0`, trust, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  const close = (): Promise<void> =>
    new Promise((resolve, reject) => {
      serving.tryShutdown((error) => (error === undefined ? resolve() : reject(error)));
    });
  return { port, close };
}

type Unary = (request: Buffer, ...rest: unknown[]) => unknown;
interface BytesClient {
  echo: Unary;
  fail: Unary;
  never: Unary;
  seen: Unary;
  split(request: Buffer): ClientReadableStream<Buffer>;
  endless(request: Buffer): ClientReadableStream<Buffer>;
  join(done: (error: ServiceError | null, answer: Buffer) => void): ClientWritableStream<Buffer>;
  chat(): ClientDuplexStream<Buffer, Buffer>;
  close(): void;
}

async function client(port: number): Promise<void> {
  const trust = secure ? credentials.createSsl(Buffer.from(cert)) : credentials.createInsecure();
  const Stub = makeGenericClientConstructor(service, 'Bytes');
  const stub = new Stub(`${host}:${port}`, trust, options) as unknown as BytesClient;

  const call = (name: 'echo' | 'fail' | 'never' | 'seen', request: Buffer, limitMs = 30_000): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const deadline = Date.now() + limitMs;
      stub[name](request, { deadline }, (error: ServiceError | null, answer: Buffer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  const code = async (promise: Promise<unknown>): Promise<string> => {
    const error = await promise.then(
      () => null,
      (thrown: ServiceError) => thrown,
    );
    return error === null ? 'no error' : status[error.code]!;
  };

  const right = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => bytes(i * 100, i).equals(await call('echo', bytes(i * 100, i)))),
  );
  fact(`unary: ${right.filter((one) => one).length} of 200 over ${connectionsBegun()} connection`);
  const large = bytes(4 * MiB, 19);
  fact(`large: ${compared(await call('echo', large), large)}`);
  fact(`error: ${await code(call('fail', Buffer.alloc(0)))}`);
  fact(`deadline: ${await code(call('never', Buffer.alloc(0), 100))}`);

  const parts: Buffer[] = [];
  for await (const part of stub.split(large.subarray(0, 3 * MiB))) parts.push(part as Buffer);
  fact(`server streams: ${parts.length} messages, ${compared(Buffer.concat(parts), large.subarray(0, 3 * MiB))}`);

  const joined = deferred<Buffer>();
  const sending = stub.join((_error, answer) => joined.resolve(answer));
  for (let i = 0; i < 300; i++) {
    if (!sending.write(large.subarray(i * 10_000, (i + 1) * 10_000))) await once(sending, 'drain');
  }
  sending.end();
  fact(`client streams: ${(await joined.promise).toString() === digest(large.subarray(0, 3_000_000))}`);

  const chat = stub.chat();
  const heard: Buffer[] = [];
  chat.on('data', (part: Buffer) => heard.push(part));
  for (let i = 0; i < 500; i++) chat.write(bytes(1000, i));
  chat.end();
  await once(chat, 'end');
  fact(`both stream: ${heard.filter((part, i) => part.equals(bytes(1000, i))).length} of 500 in order`);

  const endless = stub.endless(Buffer.alloc(0));
  await once(endless, 'data');
  const cancelled = once(endless, 'error') as Promise<ServiceError[]>;
  endless.cancel();
  fact(`cancelled: ${status[(await cancelled)[0]!.code]}`);
  fact(`the server saw it: ${await call('seen', Buffer.alloc(0))}`);
  stub.close();
}

await play({ server, client });
