/**
 * What each layer adds to a message, from `socket.write` to the peer's push, in nanoseconds: both ends in one process,
 * driven without turns of the event loop, so that nothing is measured but the code. Run it pinned to one processor:
 *
 *     taskset -c 0 node build/bench/layers.js [--json]
 */

import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installNet } from '../src/net/index.js';
import { loadPlatform } from '../src/platform/index.js';
import { ARENA_SIZE, arenaLayout, RING_SIZE } from '../src/providers/shared-memory/arena.js';
import { SharedMemoryProvider } from '../src/providers/shared-memory/provider.js';
import { RingConsumer, RingProducer } from '../src/providers/shared-memory/ring.js';
import { createTcpipProvider } from '../src/providers/tcpip/index.js';
import {
  AF_INET,
  CF_ACCEPT,
  EventObject,
  FD_ACCEPT,
  FD_CONNECT,
  IPPROTO_TCP,
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  type ProviderSocket,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SOCK_STREAM,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  type WSABUF,
  type WSAOVERLAPPED,
  type WSPPROC_TABLE,
} from '../src/spi/index.js';
import { type SanConnection, type Scheduler, Switch } from '../src/switch/index.js';
import { ProviderMemory } from '../src/switch/provider-memory.js';
import { pollOverlapped, type ReceiveBuffer } from '../src/switch/transfer-memory.js';
import { type Handle, Upcalls } from '../src/switch/upcalls.js';

/** Messages that are sent before the receiver looks: fewer than there are credits. */
const batch = 6;
const repetitions = 5;
const seconds = 0.25;

/** Sends `batch` messages and takes them. */
type Exchange = () => void;

/** Minimum over some repetitions of the nanoseconds of one message. */
function measure(exchange: Exchange): number {
  const until = performance.now() + 300;
  while (performance.now() < until) exchange();
  let best = Number.POSITIVE_INFINITY;
  for (let r = 0; r < repetitions; r++) {
    let n = 0;
    const start = process.hrtime.bigint();
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      for (let k = 0; k < 50; k++) exchange();
      n += 50 * batch;
    }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / n);
  }
  return best;
}

function ringLayer(size: number): Exchange {
  const arena = new ArrayBuffer(ARENA_SIZE);
  const layout = arenaLayout(0);
  const producer = new RingProducer(arena, layout.sendHead, layout.sendTail, layout.sendRing, RING_SIZE);
  const consumer = new RingConsumer(arena, layout.sendHead, layout.sendTail, layout.sendRing, RING_SIZE);
  const chunk = new Uint8Array(size);
  let sum = 0;
  const take = (region: { words: Int32Array }, offset: number): void => {
    sum += region.words[offset >> 2];
  };
  return () => {
    for (let k = 0; k < batch; k++) {
      const offset = producer.begin(16 + size);
      producer.region.words[offset >> 2] = size;
      producer.region.bytes.set(chunk, offset + 16);
      producer.commit(offset, 16 + size, 1);
    }
    consumer.consume(256, 1 << 20, take);
    if (sum < 0) throw new Error('lost');
  };
}

const scheduler: Scheduler = {
  soon: (task) => {
    setImmediate(task);
  },
  next: (task) => {
    process.nextTick(task);
  },
  later: (task, milliseconds) => {
    const timer = setTimeout(task, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};

interface Loop {
  provider: SharedMemoryProvider;
  poll(): void;
}

function newProvider(environment: Record<string, string>): Loop {
  const provider = new SharedMemoryProvider({
    environment,
    now: () => performance.now() * 1000,
    random: () => 0,
    count: () => {},
    connectBudget: 1000,
    scheduler,
  });
  return {
    provider,
    poll: () => {
      for (const link of provider.links!.all) link.poll();
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

/** Each provider has its own, because all of them are found in one rendezvous directory. */
let nextPort = 4001;

/** Two connected sockets of one provider, without a switch. */
async function providerLayer(size: number, environment: Record<string, string>): Promise<Exchange> {
  const { provider, poll } = newProvider(environment);
  const upcalls = new Upcalls();
  const out: { value: WSPPROC_TABLE | null } = { value: null };
  const errno = { value: 0 };
  const tcpip = createTcpipProvider();
  provider.WSPStartupEx(
    WINSOCK_VERSION,
    { wVersion: 0, wHighVersion: 0, szDescription: '' },
    tcpip.protocolInfo,
    upcalls.table,
    out,
  );
  const table = out.value!;
  const open = (port: number): { socket: ProviderSocket; handle: Handle } => {
    const socket = table.WSPSocket(
      AF_INET,
      SOCK_STREAM,
      IPPROTO_TCP,
      null,
      0,
      WSA_FLAG_OVERLAPPED,
      errno,
    ) as ProviderSocket;
    table.WSPBind(socket, { sa_family: AF_INET, address: '127.0.0.1', port }, 16, errno);
    return { socket, handle: upcalls.takeCreated()! };
  };
  const event = new EventObject();
  const port = nextPort;
  nextPort += 2;
  const listener = open(port);
  table.WSPListen(listener.socket, 10, errno);
  table.WSPEventSelect(listener.socket, event, FD_ACCEPT, errno);
  const connected = new EventObject();
  const sender = open(port + 1);
  table.WSPEventSelect(sender.socket, connected, FD_CONNECT, errno);
  table.WSPConnect(
    sender.socket,
    { sa_family: AF_INET, address: '127.0.0.1', port },
    16,
    null,
    null,
    null,
    null,
    errno,
  );
  await until(() => event.signalled);
  const receiver = table.WSPAccept(listener.socket, null, null, () => CF_ACCEPT, null, errno) as ProviderSocket;
  const receiverHandle = upcalls.takeCreated()!;
  await until(() => connected.signalled);
  const pointer: { value: unknown } = { value: null };
  table.WSPIoctl(
    listener.socket,
    SIO_GET_EXTENSION_FUNCTION_POINTER,
    ProviderMemoryGuid,
    16,
    pointer,
    8,
    { value: 0 },
    null,
    null,
    null,
    errno,
  );
  const memory = pointer.value as ProviderMemoryExtension;
  const buffers = new ProviderMemory(memory, 16 + 16384);
  const flags = { value: 0 };
  let received = 0;
  const post = (buffer: ReceiveBuffer) =>
    table.WSPRecv(receiver, buffer.list, 1, null, flags, buffer, null, null, errno);
  receiverHandle.target = {
    completed: (overlapped: WSAOVERLAPPED) => {
      received++;
      post(overlapped as ReceiveBuffer);
    },
  };
  for (let k = 0; k < 32; k++) post(buffers.takeReceive()!);
  const chunk = new Uint8Array(size);
  const buffer: WSABUF = { len: 0, buf: { bytes: new Uint8Array(0), words: new Int32Array(0) }, offset: 0 };
  const list = [buffer];
  const overlapped = pollOverlapped();
  return () => {
    received = 0;
    for (let k = 0; k < batch; k++) {
      memory.WSPGetSendBuffer(sender.socket, 16 + size, buffer, errno);
      buffer.buf.words[buffer.offset >> 2] = size;
      buffer.buf.bytes.set(chunk, buffer.offset + 16);
      buffer.len = 16 + size;
      table.WSPSend(sender.socket, list, 1, null, 0, overlapped, null, null, errno);
    }
    while (received < batch) poll();
  };
}

function newSwitch(provider: SharedMemoryProvider): Switch {
  let port = 40000;
  const platform = loadPlatform();
  return new Switch({
    tcpip: createTcpipProvider(),
    providers: () => [provider],
    startReason: () => 'no-provider',
    scheduler,
    now: () => performance.now(),
    portReservation: () => ({ reserve: () => ({ release: () => platform !== null && port++ }), random: () => 0 }),
    isForeign: () => false,
    required: true,
    trace: null,
    count: () => {},
  });
}

/** Two connections of one switch, without sockets of a program. */
async function switchLayer(size: number, environment: Record<string, string>): Promise<Exchange> {
  const { provider, poll } = newProvider(environment);
  const tcpip = createTcpipProvider();
  const { TCP, constants } = (
    process as unknown as {
      binding(name: string): { TCP: new (type: number) => never; constants: Record<string, number> };
    }
  ).binding('tcp_wrap');
  const theSwitch = newSwitch(provider);
  const listening = new TCP(constants.SERVER);
  const listeningSocket = tcpip.adopt(listening);
  tcpip.WSPBind(listeningSocket, { sa_family: AF_INET, address: '127.0.0.1', port: 0 }, 16, { value: 0 });
  const accepted: SanConnection[] = [];
  theSwitch
    .openSocket(listeningSocket)
    .listen(10, { condition: () => CF_ACCEPT, accepted: (connection) => accepted.push(connection) });
  const remote = tcpip.WSPGetSockName(listeningSocket)!;
  const connected: SanConnection[] = [];
  theSwitch.openSocket(tcpip.adopt(new TCP(constants.SOCKET))).connect(remote, {
    connected: (connection) => connected.push(connection),
    failed: (error, reason) => {
      throw new Error(`${error} ${reason}`);
    },
    fallback: (reason) => {
      throw new Error(reason);
    },
  });
  await until(() => accepted.length > 0 && connected.length > 0);
  let received = 0;
  accepted[0].events = {
    onData: (chunk) => {
      received += chunk.length;
    },
    onEnd: () => {},
    onError: () => {},
  };
  accepted[0].readStart();
  const chunk = new Uint8Array(size);
  const done = (): void => {};
  return () => {
    received = 0;
    for (let k = 0; k < batch; k++) connected[0].write(chunk, done);
    while (received < batch * size) poll();
  };
}

/** Two sockets of node:net. */
async function netLayer(size: number, loop: Loop): Promise<Exchange> {
  const { poll } = loop;
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepting = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  await new Promise((resolve) => client.once('connect', resolve));
  const peer = await accepting;
  let received = 0;
  peer.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  const chunk = Buffer.alloc(size);
  const { _tickCallback: drain } = process as unknown as { _tickCallback(): void };
  return () => {
    received = 0;
    for (let k = 0; k < batch; k++) client.write(chunk);
    while (received < batch * size) poll();
    drain();
  };
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-direct-layers-'));
  const environment = { SOCKETS_DIRECT_DIR: directory };
  const forNet = newProvider(environment);
  const theSwitch = newSwitch(forNet.provider);
  installNet({ getSwitch: () => theSwitch });
  const layers: [string, (size: number) => Exchange | Promise<Exchange>][] = [
    ['ring: write, read in place', (size) => ringLayer(size)],
    ['+ provider: WSPSend, posted buffer, WSPRecv again', (size) => providerLayer(size, environment)],
    ['+ switch: session, credits, Buffer for the program', (size) => switchLayer(size, environment)],
    ["+ net: socket.write to 'data'", (size) => netLayer(size, forNet)],
  ];
  const sizes = [64, 1024, 16384];
  const rows: { layer: string; nanoseconds: Record<string, number> }[] = [];
  try {
    for (const [layer, make] of layers) {
      const nanoseconds: Record<string, number> = {};
      for (const size of sizes) nanoseconds[size] = Math.round(measure(await make(size)));
      rows.push({ layer, nanoseconds });
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify(rows)}\n`);
  } else {
    process.stdout.write(
      `${'ns per message, send and receive'.padEnd(54)}${sizes.map((size) => `${size} B`.padStart(9)).join('')}\n`,
    );
    for (const { layer, nanoseconds } of rows) {
      process.stdout.write(
        `${layer.padEnd(54)}${sizes.map((size) => String(nanoseconds[size]).padStart(9)).join('')}\n`,
      );
    }
  }
  process.exit(0);
}

await main();
