import type net from 'node:net';
import type { Reason } from '../../diagnostics/reasons.js';
import { descriptorOf, type Platform, PlatformError, type ReadableWait } from '../../platform/index.js';
import { decodeMessage, encodeMessage, type Message, MessageType, messageLength, violation } from './handshake.js';
import type { Scheduler } from './scheduler.js';

/** The peer has refused because there is, or will be, another link between the two. */
export class LinkExists extends Error {
  override readonly name = 'LinkExists';
}

/** What a handshake's deadline is told by. */
export interface Clock {
  /** Microseconds, monotonic. */
  now(): number;
  readonly scheduler: Scheduler;
}

/** A message that was asked for, with the descriptors that came with it. The receiver closes them. */
export interface ReceivedMessage {
  message: Message;
  descriptors: number[];
}

/**
 * The messages of one handshake, sent and received on a socket that `node:net` owns but does not read yet.
 *
 * The socket must stay paused until the handshake is over.
 */
export class HandshakeChannel {
  readonly socket: net.Socket;
  readonly descriptor: number;
  readonly #platform: Platform;
  /** Of the clock, in microseconds. */
  readonly #deadline: number;
  readonly #clock: Clock;
  #wait: ReadableWait | null = null;
  #failure: PlatformError | null = null;

  constructor(platform: Platform, socket: net.Socket, deadline: number, clock: Clock) {
    this.#platform = platform;
    this.socket = socket;
    this.descriptor = descriptorOf(socket);
    this.#deadline = deadline;
    this.#clock = clock;
  }

  /** Throws PlatformError `peer-gone`, `peer-protocol`, `resources-exhausted` or `peer-unreachable`. */
  send(message: Message, descriptors: readonly number[] = []): void {
    const sent = this.#platform.sendMessage(this.descriptor, encodeMessage(message), descriptors);
    // There is room for every message of a handshake in a socket that nothing else was sent on.
    if (sent !== messageLength) throw violation('the peer does not read');
  }

  /**
   * The next message, which has to be of the given type.
   *
   * Rejects with PlatformError, or with LinkExists; a refusal by the peer has the peer's reason.
   */
  async receive(type: MessageType): Promise<ReceivedMessage> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      const received = this.#platform.receiveMessage(this.descriptor, messageLength);
      if (received === 'end') throw new PlatformError('peer-gone', 'closed during the handshake');
      if (received !== null) {
        try {
          if (received.truncated) throw violation('truncated');
          const message = decodeMessage(received.data);
          if (message.refusal === 'link-exists') throw new LinkExists();
          if (message.refusal !== null) throw new PlatformError(message.refusal, 'said by the peer');
          if (message.type !== type) throw violation(`type ${message.type} instead of ${type}`);
          return { message, descriptors: received.descriptors };
        } catch (error) {
          for (const descriptor of received.descriptors) this.#platform.closeDescriptor(descriptor);
          throw error;
        }
      }
      // The socket is asked once more after the deadline: it may be our own loop that was late.
      const remaining = (this.#deadline - this.#clock.now()) / 1000;
      if (remaining <= 0) throw new PlatformError('connect-timeout');
      await this.#readable(remaining);
    }
  }

  /** A message without descriptors. Rejects as `receive` does. */
  async receiveBare(type: MessageType): Promise<Message> {
    const { message, descriptors } = await this.receive(type);
    if (descriptors.length === 0) return message;
    for (const descriptor of descriptors) this.#platform.closeDescriptor(descriptor);
    throw violation(`${descriptors.length} descriptors`);
  }

  /** Makes the handshake fail, now if it is waiting, otherwise when it waits next. */
  abort(reason: Reason): void {
    this.#failure ??= new PlatformError(reason);
    this.#wait?.cancel();
  }

  /** Tells the peer, if that is possible, and closes. */
  refuse(refusal: Message['refusal'], greeting: Message): void {
    try {
      this.send({ ...greeting, type: MessageType.refuse, refusal });
    } catch {
      // The peer may be gone, or may have been the one that refused.
    }
    this.socket.destroy();
  }

  async #readable(milliseconds: number): Promise<void> {
    const wait = this.#platform.waitReadable(this.descriptor);
    this.#wait = wait;
    const cancel = this.#clock.scheduler.later(() => wait.cancel(), Math.ceil(milliseconds));
    await wait.promise;
    cancel();
    this.#wait = null;
  }
}
