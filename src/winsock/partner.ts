/** A process with which a socket is shared: the neighbour in the tree of those that have it. */

import type { Neighbour } from './control.js';
import type { ShareChannel } from './host.js';

/** What partners say to each other. */
export type ShareMessage =
  /** I, or somebody behind me, wants control. */
  | { readonly kind: 'ask' }
  /** Here it is, with all that belongs to it. `done`: nobody on this side will want it any more. */
  | { readonly kind: 'control'; readonly cargo: unknown; readonly done: boolean }
  /** The cargo has arrived, and what is left of it can be cleared away. */
  | { readonly kind: 'arrived' }
  /** I have closed the socket, and nobody behind me has it. The same is the answer, after which there is no more to say. */
  | { readonly kind: 'leave' }
  /** The last process has closed the socket. */
  | { readonly kind: 'closed' }
  /** The socket is lost for everybody (WSD-DUP-40). */
  | { readonly kind: 'lost'; readonly error: number };

const kinds: readonly unknown[] = ['ask', 'control', 'arrived', 'leave', 'closed', 'lost'];

export interface PartnerOwner {
  said(partner: Partner, message: ShareMessage): void;
  /** Gone without having left. */
  gone(partner: Partner): void;
}

export class Partner implements Neighbour {
  readonly #owner: PartnerOwner;
  /** Nobody on that side wants control any more. */
  done = false;
  #channel: ShareChannel | null = null;
  #early: ShareMessage[] = [];
  #over = false;

  /** Without a channel, what is said waits for `connected`. */
  constructor(owner: PartnerOwner, channel: ShareChannel | null) {
    this.#owner = owner;
    if (channel !== null) this.connected(channel);
  }

  get processId(): number {
    return this.#channel?.processId ?? 0;
  }

  connected(channel: ShareChannel): void {
    if (this.#over) {
      // Closed before the other process has answered.
      channel.send({ kind: 'leave' });
      channel.end();
      return;
    }
    this.#channel = channel;
    channel.onmessage = (message) => this.#heard(message);
    channel.onclose = () => this.failed();
    for (const message of this.#early.splice(0)) channel.send(message);
  }

  #heard(message: unknown): void {
    const { kind } = (message ?? {}) as { kind?: unknown };
    if (kinds.includes(kind)) this.#owner.said(this, message as ShareMessage);
    else this.failed();
  }

  failed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#channel?.end();
    this.#owner.gone(this);
  }

  say(message: ShareMessage): void {
    if (this.#channel === null) this.#early.push(message);
    else if (!this.#over) this.#channel.send(message);
  }

  ask(): void {
    this.say({ kind: 'ask' });
  }

  /** The last word. */
  leave(message: ShareMessage): void {
    this.say(message);
    if (this.#over) return;
    this.#over = true;
    this.#channel?.end();
  }
}
