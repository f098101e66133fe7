/** Moving a connection or a listening socket to the switch of another process (section 18 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TYPE_RESUME, TYPE_SUSPEND, TYPE_SUSPENDED } from '../../src/session/header.js';
import {
  MEM_READ,
  type ProviderSocket,
  WSAECONNRESET,
  WSAEINVAL,
  WSAENOBUFS,
  type WSAPROTOCOL_INFO,
} from '../../src/spi/index.js';
import type { MovableConnection, MovedConnection } from '../../src/switch/index.js';
import { type Message, messagesOf } from './messages.js';
import { Bench, clientAddress, type Knobs, type Pair, type SimulatedHost, serverAddress } from './stage.js';
import { assertSubsequence, Program } from './support.js';
import type { Call, Log } from './tap.js';

/** With memory that is registered for each connection, which is what most rules are about. */
const registered: Knobs = { providerMemory: false };

/** A pair, and another process on the client's host to which the client's end can move. */
class Moving extends Bench {
  readonly next: SimulatedHost;
  readonly sent: {
    readonly client: readonly Message[];
    readonly server: readonly Message[];
    readonly next: readonly Message[];
  };
  readonly joined: Pair;

  constructor(knobs: Knobs = registered, reads = true) {
    super(knobs);
    this.next = this.stage.host([[`${clientAddress}/24`]], knobs);
    this.sent = {
      client: messagesOf(this.client.tap),
      server: messagesOf(this.server.tap),
      next: messagesOf(this.next.tap),
    };
    this.joined = this.pair(reads);
  }

  get mine(): MovableConnection {
    return this.joined.mine.connection as MovableConnection;
  }

  get theirs(): MovableConnection {
    return this.joined.theirs.connection as MovableConnection;
  }

  suspended(connection: MovableConnection = this.mine): void {
    let done = false;
    connection.suspend(() => {
      done = true;
    });
    this.stage.until(() => done, 'the session is suspended');
  }

  duplicated(connection: MovableConnection = this.mine, to: SimulatedHost = this.next): MovedConnection {
    const moved = connection.duplicate(to.process.id);
    assert.ok(typeof moved !== 'number', `duplicated: ${moved}`);
    return moved;
  }

  received(
    moved: MovedConnection,
    by: SimulatedHost = this.next,
    former: MovableConnection | null = null,
  ): MovableConnection {
    const connection = by.switch.receiveConnection(moved, former);
    assert.ok(typeof connection !== 'number', `received: ${connection}`);
    return connection;
  }

  moved(): Program {
    this.suspended();
    return new Program(this.received(this.duplicated()));
  }
}

const types = (messages: readonly Message[]): number[] => messages.map(({ type }) => type);

/** Registrations of a log that have not been undone. */
function outstanding(log: Log, kind: '' | 'Rdma', where: (call: Call) => boolean = () => true): number {
  const begun = log.of(`WSPRegister${kind}Memory`).filter((call) => call.error === 0 && where(call));
  if (kind === 'Rdma')
    return begun.length - log.of('WSPDeregisterRdmaMemory').filter(({ result }) => result === 0).length;
  const ended = new Set(log.of('WSPDeregisterMemory').map(({ args }) => args[1]));
  return begun.filter(({ result }) => !ended.has(result)).length;
}

test('WSD-DUP-13 WSD-DUP-17 WSD-DUP-34 the mover asks by a message, the peer answers, and the new process says when it goes on [simulated]', () => {
  const bench = new Moving();
  bench.suspended();
  assert.equal(bench.sent.client.at(-1)!.type, TYPE_SUSPEND);
  assert.equal(bench.sent.server.at(-1)!.type, TYPE_SUSPENDED);
  const there = new Program(bench.received(bench.duplicated()));
  assert.equal(bench.sent.next.at(-1)!.type, TYPE_RESUME);
  there.connection.write(Buffer.from('from there'), () => {});
  bench.theirs.write(Buffer.from('to there'), () => {});
  bench.stage.settle();
  assert.deepEqual([bench.joined.theirs.bytes.toString(), there.bytes.toString()], ['from there', 'to there']);
});

test('WSD-DUP-12 nothing is sent by the mover after it has asked, and what the program writes goes along [simulated]', () => {
  const bench = new Moving();
  bench.suspended();
  const before = bench.sent.client.length;
  assert.equal(
    bench.mine.write(Buffer.from('late'), () => {}),
    true,
  );
  bench.stage.pass(5);
  assert.equal(bench.sent.client.length, before);
  const there = bench.received(bench.duplicated());
  bench.stage.until(() => bench.joined.theirs.bytes.length > 0, 'it arrives from there');
  assert.equal(bench.joined.theirs.bytes.toString(), 'late');
  assert.ok(there.provider !== '');
});

test('WSD-DUP-15 WSD-DUP-18 the peer sends nothing while it is suspended; its writes wait, and its receives get nothing [simulated]', () => {
  const bench = new Moving();
  bench.suspended();
  const before = bench.sent.server.length;
  let written: number | null = null;
  // Small ones are buffered, large ones wait; neither fails.
  assert.equal(
    bench.theirs.write(Buffer.alloc(100, 1), () => {}),
    true,
  );
  const taken = bench.theirs.write(Buffer.alloc(300_000, 2), (error) => {
    written = error;
  });
  assert.equal(taken, false);
  bench.stage.pass(5);
  assert.equal(bench.sent.server.length, before);
  assert.equal(bench.joined.theirs.bytes.length, 0);
  const there = new Program(bench.received(bench.duplicated()));
  bench.stage.until(() => there.bytes.length === 300_100, 'all of it arrives');
  assert.equal(written, 0);
});

test('WSD-DUP-14 WSD-DUP-19 before WSPDuplicateSocket the mover has no memory registered for sends, nor for RDMA [simulated]', () => {
  const bench = new Moving();
  const { log } = bench.client;
  const socket = bench.clientSocket;
  const sends = (call: Call): boolean => call.socket === socket && call.args[4] === MEM_READ;
  bench.mine.write(Buffer.alloc(50_000, 1), () => {});
  bench.stage.settle();
  assert.ok(outstanding(log, '', sends) > 0);
  let left: readonly number[] = [];
  bench.client.tap.override('WSPDuplicateSocket', (inner, ...args) => {
    left = [outstanding(log, '', sends), outstanding(log, 'Rdma')];
    return inner(...args);
  });
  bench.suspended();
  bench.duplicated();
  assert.deepEqual(left, [0, 0]);
});

test('WSD-DUP-16 WSD-DUP-20 when the peer has answered, only receives are pending on both sockets, and no RDMA memory is left [simulated]', () => {
  const bench = new Moving({ ...registered, immediateSends: false });
  bench.mine.write(Buffer.alloc(50_000, 1), () => {});
  bench.theirs.write(Buffer.alloc(50_000, 2), () => {});
  bench.suspended();
  bench.stage.pass(5);
  for (const [host, socket] of [
    [bench.client, bench.clientSocket],
    [bench.server, bench.serverSocket],
  ] as const) {
    const records = (fn: string): { Internal: number }[] =>
      host.log
        .of(fn)
        .filter((call) => call.socket === socket)
        .map((call) => call.args[5] as { Internal: number });
    assert.equal(records('WSPSend').filter(({ Internal }) => Internal === 0x103).length, 0, 'no send');
    assert.ok(records('WSPRecv').filter(({ Internal }) => Internal === 0x103).length >= 8, 'receives');
    assert.equal(outstanding(host.log, 'Rdma'), 0);
  }
});

test('WSD-DUP-22 WSD-DUP-27 WSPDuplicateSocket names the process, and WSPSocket there gets its token [simulated]', () => {
  const bench = new Moving();
  bench.suspended();
  const moved = bench.duplicated();
  const [duplicate] = bench.client.log.of('WSPDuplicateSocket');
  assert.deepEqual([duplicate!.socket, duplicate!.args[1]], [bench.clientSocket, bench.next.process.id]);
  bench.received(moved);
  const call = bench.next.log.of('WSPSocket').at(-1)!;
  assert.equal((call.args[3] as WSAPROTOCOL_INFO).dwProviderReserved, moved.info!.dwProviderReserved);
});

test('WSD-DUP-25 after WSPDuplicateSocket nothing but WSPCloseSocket is asked of that socket [simulated]', () => {
  for (const knobs of [registered, { providerMemory: true }]) {
    const bench = new Moving(knobs);
    const { log } = bench.client;
    const socket = bench.clientSocket;
    bench.suspended();
    const moved = bench.duplicated();
    const before = log.names(socket).length;
    const there = new Program(bench.received(moved));
    there.connection.write(Buffer.alloc(1000), () => {});
    bench.theirs.write(Buffer.alloc(1000), () => {});
    bench.stage.settle();
    const isAsked = (name: string): boolean => name.startsWith('WSP') && !name.startsWith('WSPDeregister');
    assert.deepEqual(log.names(socket).slice(before).filter(isAsked), []);
    bench.mine.closeFormer();
    bench.mine.closeFormer();
    assert.deepEqual(log.names(socket).slice(before).filter(isAsked), ['WSPCloseSocket']);
    // The connection itself has not noticed.
    there.connection.write(Buffer.alloc(1000), () => {});
    bench.stage.settle();
    assert.equal(bench.joined.theirs.bytes.length, 2000);
  }
});

test('WSD-DUP-32 a socket that comes back is a new one, and the former is closed; where it is the same, it is kept [simulated]', () => {
  for (const revives of [false, true]) {
    const bench = new Moving({ ...registered, revives });
    const socket = bench.clientSocket as ProviderSocket;
    bench.suspended();
    const there = bench.received(bench.duplicated());
    bench.suspended(there);
    bench.client.log.clear();
    const back = new Program(bench.received(bench.duplicated(there, bench.client), bench.client, bench.mine));
    const made = bench.client.log.of('WSPSocket').at(-1)!;
    assert.equal(made.result === socket, revives);
    const closed = bench.client.log.of('WSPCloseSocket').map((call) => call.socket);
    assert.deepEqual(closed, revives ? [] : [socket]);
    bench.theirs.write(Buffer.from('back'), () => {});
    back.connection.write(Buffer.from('again'), () => {});
    bench.stage.settle();
    assert.deepEqual([back.bytes.toString(), bench.joined.theirs.bytes.toString()], ['back', 'again']);
  }
});

test('WSD-DUP-35 a listening socket moves without suspension, and what asks from then on is accepted there [simulated]', () => {
  const bench = new Bench();
  const other = bench.stage.host([[`${serverAddress}/24`]]);
  const listening = bench.server.listen(bench.name);
  const moved = listening.socket.duplicate(other.process.id);
  assert.equal(moved.length, 1);
  const tcpip = other.tcpip.socket(bench.name);
  const socket = other.switch.openSocket(tcpip);
  const accepted: Program[] = [];
  socket.receive(bench.name, 8, moved, {
    condition: () => 0,
    accepted: (connection) => accepted.push(new Program(connection)),
  });
  assert.equal(socket.reason, 'accelerated');
  const before = bench.server.log.of('WSPAccept').length;
  listening.socket.close();
  const { outcome } = bench.connected();
  outcome.connection!.write(Buffer.from('hello'), () => {});
  bench.stage.until(() => accepted[0]?.bytes.length === 5, 'the other process has it');
  assert.equal(bench.server.log.of('WSPAccept').length, before);
  assertSubsequence(other.log.names(other.log.of('WSPSocket').at(-1)!.result as object), [
    'WSPSocket',
    'WSPEventSelect',
    'WSPEnumNetworkEvents',
    'WSPAccept',
  ]);
});

test('WSD-DUP-40 resources that run out, or a token that is not taken, end in an error and nothing is left [simulated]', () => {
  const bench = new Moving();
  bench.client.tap.fail('WSPDuplicateSocket', WSAENOBUFS, 1);
  bench.suspended();
  assert.equal(bench.mine.duplicate(bench.next.process.id), WSAENOBUFS);
  // It has not moved, and goes on.
  bench.mine.resume();
  bench.theirs.write(Buffer.from('still here'), () => {});
  bench.stage.settle();
  assert.equal(bench.joined.mine.bytes.toString(), 'still here');
  bench.suspended();
  const moved = bench.duplicated();
  const forged = { ...moved, info: { ...moved.info!, dwProviderReserved: 1 } };
  assert.equal(bench.next.switch.receiveConnection(forged, null), WSAEINVAL);
  bench.next.tap.fail('WSPSocket', WSAENOBUFS, 1);
  assert.equal(bench.next.switch.receiveConnection(moved, null), WSAENOBUFS);
  bench.next.process.kill();
  bench.stage.until(() => bench.joined.theirs.told.length > 0, 'the peer is told');
  assert.deepEqual(bench.joined.theirs.told, [`error ${WSAECONNRESET}`]);
  assert.equal(bench.server.switch.usage.connections, 0);
});

test('WSD-DUP-40 the peer of a socket on its way dies, before its answer and after it [simulated]', () => {
  for (const answered of [false, true]) {
    const bench = new Moving();
    let silent = false;
    bench.mine.suspend(() => {
      silent = true;
    });
    if (answered) bench.stage.until(() => silent, 'the peer has answered');
    bench.server.process.kill();
    bench.stage.until(() => silent, 'the mover is told');
    const there = new Program(bench.received(bench.duplicated()));
    bench.stage.until(() => there.told.length > 0, 'the end is told where the socket is');
    // As with TCP it is an end of data, because nothing was on the way to the dead one.
    assert.deepEqual(there.told, ['end']);
  }
});

test('WSD-DUP-42 if nobody tells that the mover has failed, the peer gives the connection up after a while [simulated]', () => {
  const bench = new Moving();
  bench.suspended();
  bench.duplicated();
  // Nobody ever uses the token, and both processes live.
  bench.stage.until(() => bench.joined.theirs.told.length > 0, 'the peer has given it up');
  assert.deepEqual(bench.joined.theirs.told, [`error ${WSAECONNRESET}`]);
  assert.ok(bench.stage.world.now() > 10_000_000);
});

test('unread and unsent data, the urgent mark and the end of sending move along [simulated]', () => {
  for (const knobs of [registered, { providerMemory: true }]) {
    const bench = new Moving(knobs, false);
    const up = Buffer.alloc(400_000, 'up');
    const down = Buffer.alloc(200_000, 'down');
    bench.theirs.write(down, () => {});
    bench.theirs.writeUrgent(Buffer.from('!'), () => {});
    bench.theirs.shutdown(() => {});
    // More than the peer has room for: it does not read.
    bench.mine.write(up, () => {});
    bench.mine.shutdown(() => {});
    bench.stage.pass(2);
    bench.suspended();
    const there = bench.received(bench.duplicated());
    const urgent: string[] = [];
    const program: Program = Object.assign(new Program(there, false), {
      onUrgent: (chunk: Buffer) => {
        program.received.push(chunk.subarray(0, -1));
        urgent.push(chunk.subarray(-1).toString());
      },
    });
    there.readStart();
    bench.theirs.readStart();
    const { theirs } = bench.joined;
    bench.stage.until(() => program.told.length + theirs.told.length === 2, 'both directions have ended');
    assert.deepEqual([program.told, theirs.told], [['end'], ['end']]);
    assert.ok(theirs.bytes.equals(up));
    assert.ok(program.bytes.equals(down));
    assert.deepEqual(urgent, ['!']);
    bench.stage.settle();
    assert.equal(bench.server.switch.usage.connections, 0);
  }
});

test('both ends want to move at once: one after the other does [simulated]', () => {
  for (let lead = 0; lead < 20; lead++) {
    const bench = new Moving(registered);
    const other = bench.stage.host([[`${serverAddress}/24`]], registered);
    const silent = { mine: false, theirs: false };
    const begin = (connection: MovableConnection, side: 'mine' | 'theirs'): void =>
      connection.suspend(() => {
        silent[side] = true;
      });
    begin(bench.mine, 'mine');
    bench.stage.pass(lead / 1000);
    begin(bench.theirs, 'theirs');
    bench.stage.until(() => silent.mine || silent.theirs, 'one may move');
    assert.notEqual(silent.mine, silent.theirs);
    const move = (side: 'mine' | 'theirs'): Program =>
      new Program(
        bench.received(
          bench.duplicated(bench[side], side === 'mine' ? bench.next : other),
          side === 'mine' ? bench.next : other,
        ),
      );
    const first = silent.mine ? 'mine' : 'theirs';
    const second = silent.mine ? 'theirs' : 'mine';
    const there = move(first);
    bench.stage.until(() => silent[second], 'the other may move');
    const here = move(second);
    there.connection.write(Buffer.from('one'), () => {});
    here.connection.write(Buffer.from('two'), () => {});
    bench.stage.settle();
    assert.deepEqual([there.bytes.toString(), here.bytes.toString()], ['two', 'one']);
  }
});

test('what comes from another process is checked before it is used [simulated]', () => {
  const bench = new Moving();
  bench.suspended();
  const moved = bench.duplicated();
  const wrong: unknown[] = [
    null,
    'moved',
    {},
    { ...moved, provider: 7 },
    { ...moved, info: null },
    { ...moved, info: { dwProviderReserved: 0 } },
    { ...moved, peerAddress: { sa_family: 2, address: '1.2.3.4', port: 70_000 } },
    { ...moved, session: { ...moved.session, payloadMax: 0 } },
    { ...moved, session: { ...moved.session, credits: { ...moved.session.credits, posted: 1e9 } } },
    { ...moved, session: { ...moved.session, credits: { ...moved.session.credits, owed: 1000, posted: 8 } } },
    { ...moved, session: { ...moved.session, sequence: 2 ** 40 } },
    { ...moved, session: { ...moved.session, urgent: [3] } },
    { ...moved, session: { ...moved.session, unread: [[1, 2]] } },
    { ...moved, session: { ...moved.session, dead: true } },
  ];
  for (const one of wrong) assert.equal(bench.next.switch.receiveConnection(one, null), WSAEINVAL);
  assert.equal(bench.next.log.of('WSPSocket').length, 0);
  assert.deepEqual(types(bench.sent.next), []);
  bench.received(moved);
});
