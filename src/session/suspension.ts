/**
 * Silence on the wire while one end of a session moves to another process (WSD-DUP-12 to WSD-DUP-17, WSD-DUP-34):
 *
 *     mover            peer
 *     suspend    ──>             the last message of the mover before it moves
 *                <──  suspended  the last message of the peer before the mover has moved
 *     (moves)
 *     resume     ──>             the first message from the other process; both send again
 *
 * The answer takes no credit, of which the peer may have none: whoever asks has posted a buffer for it. It brings back all
 * that are owed, so there is one for what comes next. If both sides ask at once, the initiator of the session moves first,
 * and the other side's request is answered by the process it has moved to.
 */

import type { Credits } from './credits.js';
import type { SessionOwner, SessionWire } from './face.js';
import { TYPE_RESUME, TYPE_SUSPEND, TYPE_SUSPENDED } from './header.js';
import type { MessageWriter } from './message-writer.js';

export function isSuspension(type: number): boolean {
  return type === TYPE_SUSPEND || type === TYPE_SUSPENDED || type === TYPE_RESUME;
}

export class Suspension {
  readonly #wire: SessionWire;
  readonly #credits: Credits;
  readonly #writer: MessageWriter;
  readonly #owner: SessionOwner;
  readonly #initiator: boolean;
  #own: 'none' | 'wanted' | 'sent' | 'suspended' | 'resuming' = 'none';
  #done: (() => void) | null = null;
  /** A buffer for the answer is posted, beside those that are credit. */
  #spare = false;
  #peerAsked = false;
  /** The peer moves, and nothing must be sent. */
  #yielded = false;

  constructor(wire: SessionWire, credits: Credits, writer: MessageWriter, owner: SessionOwner, initiator: boolean) {
    this.#wire = wire;
    this.#credits = credits;
    this.#writer = writer;
    this.#owner = owner;
    this.#initiator = initiator;
  }

  get peerAsked(): boolean {
    return this.#peerAsked;
  }

  /** Nothing but what belongs here may be sent. */
  get isSilent(): boolean {
    return this.#own !== 'none' || this.#peerAsked || this.#yielded;
  }

  /** This side wants to move; `done` is called when it may. */
  suspend(done: () => void, dead: boolean): void {
    this.#done = done;
    if (dead) return this.died();
    this.#own = 'wanted';
    this.advance();
  }

  /** This side has moved, or will not. */
  resume(dead: boolean): void {
    if (dead) return;
    this.#own = 'resuming';
    this.advance();
  }

  /** In the process to which this side has moved: the peer has asked as well meanwhile. */
  restore(): void {
    this.#peerAsked = true;
  }

  /** The connection is gone; whoever wants to move may take what has arrived along. */
  died(): void {
    const done = this.#done;
    this.#done = null;
    done?.();
  }

  /** False: the message is out of place. */
  receive(type: number): boolean {
    if (type === TYPE_SUSPEND) {
      if (this.#peerAsked || this.#yielded) return false;
      this.#peerAsked = true;
    } else if (type === TYPE_SUSPENDED) {
      if (this.#own !== 'sent' || this.#yielded) return false;
      this.#credits.answerTaken();
      this.#own = 'suspended';
      this.died();
    } else {
      if (!this.#yielded) return false;
      this.#yielded = false;
      this.#owner.onPeerSuspended?.(false);
    }
    return true;
  }

  /** Sends what is due and there is credit for. */
  advance(): void {
    if (!this.isSilent && !this.#credits.paused) return;
    this.#credits.paused = this.isSilent;
    // What is under way by RDMA comes to its end first, and with it the credits that it takes (WSD-DUP-12, WSD-DUP-15).
    this.#credits.silent = this.isSilent && (this.#own === 'sent' || this.#yielded || this.#credits.transfers === 0);
    if (this.#yielded) return;
    if (this.#own === 'resuming' && this.#credits.available > 0) {
      this.#own = 'none';
      this.#writer.control(TYPE_RESUME);
    }
    const mayYield = this.#own === 'none' || this.#own === 'wanted' || (this.#own === 'sent' && !this.#initiator);
    if (this.#peerAsked && mayYield && this.#credits.transfers === 0) {
      this.#peerAsked = false;
      this.#yielded = true;
      this.#credits.lendAnswer();
      this.#writer.control(TYPE_SUSPENDED);
      this.#owner.onPeerSuspended?.(true);
    } else if (this.#own === 'wanted' && this.#credits.available > 0 && this.#credits.transfers === 0) {
      this.#spare ||= this.#wire.postMore(1) === 1;
      if (!this.#spare) return;
      this.#credits.expectAnswer();
      this.#own = 'sent';
      this.#writer.control(TYPE_SUSPEND);
    }
    this.#credits.paused = this.isSilent;
    this.#credits.silent &&= this.isSilent;
    if (this.#yielded || this.#own === 'sent') this.#credits.silent = true;
  }
}
