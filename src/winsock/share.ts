/**
 * A socket that several processes have (section 18 of the digest). One of them controls it: there is the connection, or the
 * listening, and what has arrived. A call of another process that needs it has control brought there first; until then a
 * duplicate is nothing but a record (WSD-DUP-7).
 */

import { WSA_OPERATION_ABORTED, WSAECONNRESET, WSAEWOULDBLOCK } from '../spi/index.js';
import { hold, release } from '../switch/index.js';
import { Control, type ControlOwner } from './control.js';
import { WSAError } from './error.js';
import type { ShareChannel } from './host.js';
import { Partner, type PartnerOwner, type ShareMessage } from './partner.js';
import { type Outcome, Pending } from './pending.js';

/** What is shared, in the process that controls it, and what is left of it in one that has. */
export interface Shared {
  /** Calls back, now or later, when nothing that was started goes on (WSD-DUP-5). */
  whenIdle(callback: () => void): void;
  /**
   * Takes it away from this process: `taken` gets what `put` needs there, or the error with which the socket is lost. Null: it
   * stays, because it was not `wanted` any more when it could have gone.
   */
  take(processId: number, wanted: () => boolean, taken: (cargo: object | number | null) => void): void;
  /** Control has come: 0, or the error with which the socket is lost. */
  put(cargo: unknown): number;
  /** It has arrived where it was taken. */
  arrived(): void;
  /** Nobody has it any more: everything that waits fails. */
  lost(wsaError: number): void;
  /** The program has closed the socket here, and others have it: what waits for the peer ends. */
  closedHere(): void;
  /** The last to close it has closed it. */
  closedForGood(): void;
  /** This process has nothing to do with it any more; others may. */
  clear(): void;
}

/** Milliseconds for which a duplicate waits to be opened when the socket is closed where it was made. */
const patience = 60_000;

interface Offer {
  withdraw(): void;
}

export class Share implements ControlOwner<Partner>, PartnerOwner {
  readonly #shared: Shared;
  readonly #later: (task: () => void, milliseconds: number) => () => void;
  readonly #control: Control<Partner>;
  readonly #partners = new Set<Partner>();
  readonly #offers = new Set<Offer>();
  /** Own calls that wait for control. */
  readonly #waiting = new Set<{ reject(wsaError: number): void }>();
  #error = 0;
  /** The program has closed the socket here. */
  #closed = false;
  /** Nothing of it is left here. */
  #over = false;
  #holds = false;
  #cancelPatience: (() => void) | null = null;
  /** Control is on its way to this partner, which has not said that it has it. */
  #expecting: Partner | null = null;
  /** This partner has been told that this process leaves, and has not answered. */
  #leaving: Partner | null = null;

  /** `giver` has control; null: it is here. */
  constructor(shared: Shared, later: (task: () => void, milliseconds: number) => () => void, giver: Partner | null) {
    this.#shared = shared;
    this.#later = later;
    this.#control = new Control<Partner>(this, giver);
  }

  /** In a process that gets the socket: from a partner that will be there. */
  static received(
    shared: Shared,
    later: (task: () => void, milliseconds: number) => () => void,
  ): { share: Share; giver: Partner } {
    const owner: PartnerOwner = {
      said: (partner, message) => share.said(partner, message),
      gone: (partner) => share.gone(partner),
    };
    const giver = new Partner(owner, null);
    const share: Share = new Share(shared, later, giver);
    share.#partners.add(giver);
    return { share, giver };
  }

  /** Why the socket is lost; 0 if it is not. */
  get error(): number {
    return this.#error;
  }

  get hasControl(): boolean {
    return this.#control.isHere;
  }

  /** Others have it, or may. */
  get isShared(): boolean {
    return this.#partners.size + this.#offers.size > 0;
  }

  // ---- giving it to another process

  offered(offer: Offer): void {
    this.#offers.add(offer);
  }

  taken(offer: Offer, channel: ShareChannel): void {
    this.#offers.delete(offer);
    const partner = new Partner(this, channel);
    if (this.#error !== 0) {
      partner.leave({ kind: 'lost', error: this.#error });
      return;
    }
    this.#partners.add(partner);
    this.#reconsider();
  }

  // ---- calls of the program

  /** Starts `begin` here and now, or when control has come (WSD-DUP-11). One that must not wait only asks for it. */
  run<T>(
    syscall: string,
    nonBlocking: boolean,
    signal: AbortSignal | undefined,
    begin: (signal: AbortSignal | undefined) => Outcome<T>,
  ): Outcome<T> {
    if (this.#error !== 0) throw new WSAError(this.#error, syscall);
    if (this.#control.isFree) return begin(signal);
    if (nonBlocking) {
      this.#control.want(() => {});
      throw new WSAError(WSAEWOULDBLOCK, syscall);
    }
    const controller = new AbortController();
    let drop = (): void => {};
    const pending: Pending<T> = new Pending<T>(syscall, signal, () => {
      drop();
      this.#waiting.delete(pending);
      controller.abort();
    });
    this.#waiting.add(pending);
    drop = this.#control.want(() => {
      this.#waiting.delete(pending);
      if (pending.settled) return;
      try {
        const outcome = begin(controller.signal);
        if (!(outcome instanceof Pending)) pending.resolve(outcome);
        else
          outcome.promise.then(
            (value) => pending.resolve(value),
            (error: unknown) => pending.fail(error),
          );
      } catch (error) {
        pending.fail(error);
      }
    });
    return pending;
  }

  /** The same for what tells nobody. */
  order(begin: () => void): void {
    if (this.#error !== 0) return;
    this.#control.want(() => {
      try {
        begin();
      } catch (error) {
        // Lost meanwhile, or closed.
        if (!(error instanceof WSAError)) throw error;
      }
    });
  }

  // ---- control

  whenIdle(callback: () => void): void {
    this.#shared.whenIdle(callback);
  }

  handOver(to: Partner, ended: (given: boolean) => void): void {
    const wanted = (): boolean => this.#partners.has(to);
    this.#shared.take(to.processId, wanted, (cargo) => {
      if (this.#error !== 0) return;
      if (typeof cargo === 'number') {
        this.lose(cargo);
        return;
      }
      if (cargo === null) {
        ended(false);
        this.#reconsider();
        return;
      }
      this.#expecting = to;
      const others = this.#partners.size - 1 + this.#offers.size;
      to.say({ kind: 'control', cargo, done: this.#closed && others === 0 });
      ended(true);
      this.#reconsider();
    });
  }

  said(partner: Partner, message: ShareMessage): void {
    if (this.#over || !this.#partners.has(partner)) return;
    if (message.kind === 'ask') {
      this.#control.asked(partner);
    } else if (message.kind === 'control') {
      if (this.#control.holder === partner) this.#receive(partner, message.cargo, message.done === true);
      else this.lose(WSAECONNRESET);
    } else if (message.kind === 'arrived') {
      if (this.#expecting === partner) this.#expecting = null;
      this.#shared.arrived();
      this.#reconsider();
    } else if (message.kind === 'leave') {
      this.#left(partner);
    } else if (message.kind === 'closed') {
      this.#partners.delete(partner);
      partner.leave({ kind: 'leave' });
      if (this.#closed) this.#end();
      else this.lose(WSAECONNRESET);
    } else {
      this.lose(Number.isInteger(message.error) && message.error > 0 ? message.error : WSAECONNRESET);
    }
  }

  #left(partner: Partner): void {
    // It has wanted to go, and will find that control is on its way to it.
    if (this.#control.isWith(partner)) return;
    this.#partners.delete(partner);
    partner.leave({ kind: 'leave' });
    this.#control.left(partner);
    if (this.#leaving === partner) this.#end();
    else this.#reconsider();
  }

  #receive(partner: Partner, cargo: unknown, done: boolean): void {
    this.#leaving = null;
    partner.done = done;
    const error = this.#shared.put(cargo);
    if (error !== 0) {
      this.lose(error);
      return;
    }
    partner.say({ kind: 'arrived' });
    this.#control.received();
    this.#reconsider();
  }

  /** The process of a partner is gone. If control is there, so is the connection. */
  gone(partner: Partner): void {
    if (!this.#partners.delete(partner) || this.#over) return;
    if (this.#control.holder === partner) {
      this.lose(WSAECONNRESET);
      return;
    }
    this.#control.left(partner);
    this.#reconsider();
  }

  /** Everybody is told, and nothing of the socket is left anywhere (WSD-DUP-40). */
  lose(wsaError: number): void {
    if (this.#over || this.#error !== 0) return;
    this.#error = wsaError;
    for (const partner of this.#partners) partner.leave({ kind: 'lost', error: wsaError });
    this.#partners.clear();
    for (const pending of [...this.#waiting]) pending.reject(wsaError);
    this.#shared.lost(wsaError);
    if (this.#closed) this.#end();
  }

  // ---- closing

  /** The program closes the socket. Others may go on with it. */
  close(): void {
    this.#closed = true;
    for (const pending of [...this.#waiting]) pending.reject(WSA_OPERATION_ABORTED);
    if (this.#error !== 0) {
      this.#end();
      return;
    }
    if (this.#control.isHere) this.#shared.closedHere();
    this.#cancelPatience = this.#later(() => this.#withdrawAll(), patience);
    this.#reconsider();
  }

  /** WSACleanup: who has been given the socket and has not come is not waited for. */
  abandon(): void {
    for (const offer of this.#offers) offer.withdraw();
    this.#offers.clear();
    this.close();
  }

  #withdrawAll(): void {
    for (const offer of this.#offers) offer.withdraw();
    this.#offers.clear();
    this.#reconsider();
  }

  /** After the program has closed: gives control to whoever is left, and goes when nobody needs this process any more. */
  #reconsider(): void {
    if (!this.#closed || this.#over) return;
    this.#hold();
    const partners = [...this.#partners];
    if (this.#control.isHere) {
      const next = partners.find(({ done }) => !done);
      if (next !== undefined) {
        this.#control.asked(next);
      } else if (this.#offers.size === 0) {
        for (const partner of partners) partner.leave({ kind: 'closed' });
        this.#shared.closedForGood();
        this.#end();
      }
      return;
    }
    if (this.#offers.size > 0 || partners.length > 1 || this.#expecting !== null || this.#leaving !== null) return;
    const [last] = partners;
    this.#leaving = last ?? null;
    if (last === undefined) this.#end();
    else last.say({ kind: 'leave' });
  }

  /** The process runs on until somebody else has what is here. */
  #hold(): void {
    if (this.#holds) return;
    this.#holds = true;
    hold();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelPatience?.();
    this.#withdrawAll();
    this.#shared.clear();
    if (this.#holds) release();
    this.#holds = false;
  }
}
