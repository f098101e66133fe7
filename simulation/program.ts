/** A program's end of a SAN connection, which checks all it is told. */

import type { Process } from '../src/providers/simulated/world.js';
import { errorName, WSA_OPERATION_ABORTED, WSAECONNRESET, WSAENOTCONN, WSAESHUTDOWN } from '../src/spi/index.js';
import type { MovableConnection, SanConnection } from '../src/switch/index.js';
import type { OpenConnection } from '../src/switch/services.js';
import { check, fail } from './failure.js';
import type { Host } from './rig.js';
import type { Stream } from './streams.js';

/** What the ends of one connection know of each other, and what may excuse an error. */
export interface Pair {
  readonly name: string;
  /** An end has been lost on its way to another process. */
  lostMove: boolean;
  /** A reason for a reset that no program asked for: a killed process, resources that ran out. */
  excuse(): string | null;
  /** The other end may have gone before its program knew of it. */
  mayEndNegotiation(): boolean;
  note(what: string): void;
}

export class ProgramEnd {
  connection: SanConnection;
  /** The connection is on its way to another process, and nothing can be done with it. */
  inTransit = false;
  /** Bytes that it has taken along unsent. */
  carried = 0;
  /** Descriptors that it has had in other processes, and that are still to be closed. */
  readonly formers = new Map<Host, MovableConnection>();
  peer: ProgramEnd | null = null;
  /** The program has closed or reset. */
  closed = false;
  wasReset = false;
  /** It closed, did not reset, and had taken all that there was. */
  closedClean = false;
  /** The other end has closed for good while bytes of this end were on the way to it: an end would hide their loss. */
  mustBeReset = false;
  ended = false;
  error = 0;
  reading = false;
  /** The run comes to its end: the program reads, and does nothing else any more. */
  calm = false;
  /** The processes in which callbacks are due, one for each. */
  readonly #due: Process[] = [];
  /** Inside a call of `close`. */
  #closing = false;
  /** Called after data, for programs that react to it. */
  onData: (() => void) | null = null;
  /** Called at the end and at an error, from inside. */
  onOver: (() => void) | null = null;

  constructor(
    readonly name: string,
    public process: Process,
    readonly pair: Pair,
    connection: SanConnection,
    readonly out: Stream,
    readonly incoming: Stream,
  ) {
    this.connection = connection;
    this.#listen();
  }

  #listen(): void {
    this.connection.events = {
      onData: (chunk) => this.#data(chunk),
      onEnd: () => this.#end(),
      onError: (wsaError) => this.#failed(wsaError),
    };
  }

  /** The program goes on in another process, with what it was doing. */
  goOn(connection: SanConnection): void {
    this.connection = connection;
    this.inTransit = false;
    this.#listen();
    if (this.reading) connection.readStart();
  }

  /** It never comes to the other process. */
  lostInTransit(): void {
    this.closed = true;
    this.wasReset = true;
    this.out.finished = true;
    this.pair.lostMove = true;
  }

  /** Callbacks that are due. Of those that were to come in a process that has been killed, none is. */
  get waiting(): number {
    return this.#due.filter(({ isAlive }) => isAlive).length;
  }

  /** Bytes that the program has written are not on the wire yet. */
  get hasUnsent(): boolean {
    if (this.inTransit) return this.carried > 0;
    return this.connection.writeQueueSize > 0 || (this.connection as SanConnection & OpenConnection).hasUnsent;
  }

  /** The end of data or an error has been delivered, or nothing is to be delivered any more. */
  get isOver(): boolean {
    return this.ended || this.error !== 0 || this.closed;
  }

  #told(what: string): void {
    this.pair.note(`${this.name} ${what}`);
    check(this.process.isAlive, `${this.name}: a dead process is told ${what}`);
    check(!this.closed, `${this.name}: told ${what} after it has closed`);
    check(this.reading, `${this.name}: told ${what} while it does not read`);
    check(!this.ended && this.error === 0, `${this.name}: told ${what} after the end`);
  }

  /** A peer that closes with bytes unread, or while bytes are on the way to it, resets. */
  #mayBeReset(): boolean {
    return this.peer === null ? this.pair.mayEndNegotiation() : this.peer.closed;
  }

  #data(chunk: Buffer): void {
    this.#told(`${chunk.length} bytes`);
    check(chunk.length > 0 && chunk.length <= 65_536, `${this.name}: a chunk of ${chunk.length} bytes`);
    this.incoming.receive(chunk);
    this.onData?.();
  }

  #end(): void {
    this.#told('the end');
    this.ended = true;
    if (this.pair.excuse() === null) {
      const { finished, received, written } = this.incoming;
      check(!this.mustBeReset, `${this.name}: the end, and what it wrote was not taken`);
      check(finished, `${this.name}: the end of a stream that its sender has not ended`);
      check(
        received === written || this.peer?.wasReset === true,
        `${this.name}: the end after ${received} of ${written}`,
      );
    }
    this.onOver?.();
  }

  #failed(wsaError: number): void {
    this.#told(errorName(wsaError));
    this.error = wsaError;
    if (this.pair.excuse() === null) {
      check(this.#mayBeReset(), `${this.name}: ${errorName(wsaError)} without a reason`);
      const polite = this.peer?.closedClean === true && this.peer.incoming.written === this.peer.incoming.received;
      check(!polite, `${this.name}: ${errorName(wsaError)}, and its peer has taken everything and closed`);
    }
    this.onOver?.();
  }

  /** Writes the next bytes of the stream, as one chunk or in several. */
  write(lengths: readonly number[]): void {
    if (this.closed || this.inTransit) return;
    const late = this.out.finished;
    const chunks = lengths.map((length) => (late ? Buffer.alloc(length) : this.out.next(length)));
    const scribble = (): void => {
      for (const chunk of chunks) chunk.fill(0xee);
    };
    let taken = false;
    const done = this.#once('write', (wsaError) => {
      if (wsaError === WSA_OPERATION_ABORTED && this.#closing) {
        this.wasReset = true;
        this.closedClean = false;
      }
      check(!taken, `${this.name}: a write is taken and called back`);
      check(!late || wsaError !== 0, `${this.name}: a write after the end of sending succeeded`);
      scribble();
    });
    this.pair.note(`${this.name} writes ${lengths.join(' + ')}`);
    const [first] = chunks;
    taken = chunks.length === 1 ? this.connection.write(first!, done) : this.connection.writev(chunks, done);
    if (!taken) return;
    this.#noMoreDue(this.process);
    check(!late || lengths.every((length) => length === 0), `${this.name}: a write after the end of sending is taken`);
    // What is taken is the connection's: the program may use its memory again.
    scribble();
  }

  #once(what: string, also: (wsaError: number) => void): (wsaError: number) => void {
    let calls = 0;
    // The end may have moved on when it is called back.
    const { process } = this;
    this.#due.push(process);
    return (wsaError) => {
      calls++;
      this.pair.note(`${this.name} ${what} done ${wsaError === 0 ? '' : errorName(wsaError)}`);
      check(calls === 1, `${this.name}: ${what} is called back ${calls} times`);
      check(process.isAlive, `${this.name}: ${what} is called back in a dead process`);
      this.#noMoreDue(process);
      this.#checkResult(what, wsaError);
      also(wsaError);
    };
  }

  #noMoreDue(process: Process): void {
    this.#due.splice(this.#due.indexOf(process), 1);
  }

  #checkResult(what: string, wsaError: number): void {
    if (wsaError === 0) return;
    if (wsaError === WSA_OPERATION_ABORTED) check(this.closed, `${this.name}: ${what} aborted, but nobody closed`);
    else if (this.pair.excuse() !== null) return;
    else if (wsaError === WSAECONNRESET) check(this.#mayBeReset(), `${this.name}: ${what} reset without a reason`);
    else if (wsaError === WSAESHUTDOWN || wsaError === WSAENOTCONN) {
      // After the own end of sending, or once both ends have finished.
      const over = this.out.finished || this.incoming.finished || this.#mayBeReset();
      check(over, `${this.name}: ${what} failed with ${errorName(wsaError)} on a connection that lives`);
    } else fail(`${this.name}: ${what} failed with ${errorName(wsaError)}`);
  }

  finish(): void {
    if (this.closed || this.inTransit) return;
    const again = this.out.finished;
    this.out.finished = true;
    this.pair.note(`${this.name} ends its sending`);
    this.connection.shutdown(
      this.#once('shutdown', (wsaError) => {
        check(!again || wsaError !== 0, `${this.name}: a second end of sending succeeded`);
      }),
    );
  }

  read(): void {
    if (this.closed || this.inTransit || this.reading) return;
    this.pair.note(`${this.name} reads`);
    this.reading = true;
    this.connection.readStart();
  }

  pause(): void {
    if (this.closed || this.inTransit || this.calm || !this.reading) return;
    this.pair.note(`${this.name} pauses`);
    this.reading = false;
    this.connection.readStop();
  }

  close(): void {
    if (this.closed || this.inTransit) return;
    this.pair.note(`${this.name} closes`);
    this.closed = true;
    this.closedClean = this.incoming.received === this.incoming.written;
    const { peer } = this;
    if (peer !== null && !this.closedClean && !this.out.finished && !peer.hasUnsent) peer.mustBeReset = true;
    this.out.finished = true;
    // A block of which the peer is reading cannot be sent any more: closing is a reset then, and the write is told at once.
    this.#closing = true;
    this.connection.close();
    this.#closing = false;
  }

  reset(): void {
    if (this.closed || this.inTransit) return;
    this.pair.note(`${this.name} resets`);
    this.closed = true;
    this.wasReset = true;
    this.connection.reset();
  }
}
