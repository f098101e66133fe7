/**
 * One poller for all links of an event loop. While links are awake it takes a turn in every iteration of the loop, and
 * yields the processor in turns that find nothing, because the peer may be waiting for the same core. A link that has
 * nothing for the length of its window goes to sleep and is woken by its doorbell.
 */

import { AsyncResource } from 'node:async_hooks';
import type { PollWindow } from './poll-window.js';
import type { Scheduler } from './scheduler.js';

/** What the poller needs of a link. */
export interface Pollable {
  /** Does what there is to do, within a budget; true if messages were received or waiting ones could be sent. */
  poll(): boolean;
  /** Announces sleep to the peer; false if there is work after all, and then nothing is announced. */
  sleep(): boolean;
  /** Takes back what `sleep` announced. */
  wake(): void;
  readonly window: PollWindow;
  awake: boolean;
  /**
   * When the link was last busy or woken, in microseconds of the poller's clock. Work ends with the turn after it, because
   * what the program does with a message runs in between.
   */
  lastWork: number;
  /** When messages were last found. */
  lastReceived: number;
  /** Messages were found in the previous turn. */
  busy: boolean;
}

export interface PollerOptions {
  /** Microseconds, monotonic. */
  now(): number;
  scheduler: Scheduler;
  /** Gives the processor to another process that waits for it. */
  yieldProcessor(): void;
}

/** A yield that took this many microseconds went to somebody who is no peer of ours. */
const foreignYield = 300;
/**
 * After so many of them in a row the processor counts as contended: polling only hands somebody else our time there, and
 * sleeping is better, because whoever is woken runs soon. A few prove nothing: compilers of the engine and its garbage
 * collector have threads too.
 */
const foreignYieldsMax = 4;
/** Microseconds for which links then sleep at once. One more foreign yield after that is enough. */
const contendedTime = 10_000;

/** Microseconds of an iteration of the loop that has nothing to do but poll, at most; in a longer one the program ran. */
const idleIterationMax = 50;

/** Fruitless polling may take this share of the time, on average over `budgetMax` microseconds of it. */
const budgetShare = 0.25;
const budgetMax = 20_000;

export class Poller {
  readonly #now: () => number;
  readonly #scheduler: Scheduler;
  readonly #yield: () => void;
  readonly #root = new AsyncResource('SocketsDirectPoller');
  #links: Pollable[] = [];
  #running = false;
  #budget = budgetMax;
  #budgetTime = 0;
  #contendedUntil = 0;
  #foreignYields = 0;
  /** When the last turn that found nothing ended. */
  #idleUntil = 0;
  /** Microseconds of this clock at which the poller was made, and those spent in turns that found nothing. */
  readonly started: number;
  idleTime = 0;
  readonly #turn = (): void => this.#takeTurn();

  constructor(options: PollerOptions) {
    this.#now = options.now;
    this.#scheduler = options.scheduler;
    this.#yield = options.yieldProcessor;
    this.started = options.now();
  }

  /** Makes the link take turns, from the next iteration of the loop on. */
  kick(link: Pollable): void {
    if (link.awake) return;
    link.wake();
    link.awake = true;
    link.lastWork = this.#now();
    this.#start(link);
  }

  /**
   * The doorbell: polls at once, because going through the loop once more would cost more than everything else. Where
   * messages are rare the link goes back to sleep from here, for the same reason.
   */
  ring(link: Pollable): void {
    if (link.awake) return;
    const now = this.#now();
    link.wake();
    link.awake = true;
    link.lastWork = now;
    let asleep = false;
    try {
      this.#pollLink(link, now);
      asleep = link.window.length === 0 && link.sleep();
    } finally {
      if (asleep) {
        link.awake = false;
        link.busy = false;
      } else if (link.awake) {
        this.#start(link);
      }
    }
  }

  #start(link: Pollable): void {
    this.#links.push(link);
    if (this.#running) return;
    this.#running = true;
    // The turns must not run in the asynchronous context of whoever happened to send first.
    this.#root.runInAsyncScope(this.#scheduler.soon, this.#scheduler, this.#turn);
  }

  remove(link: Pollable): void {
    link.awake = false;
    const i = this.#links.indexOf(link);
    if (i >= 0) this.#links.splice(i, 1);
  }

  #pollLink(link: Pollable, now: number): boolean {
    if (link.busy) {
      link.busy = false;
      link.lastWork = now;
      link.window.busyUntil(now);
    }
    if (!link.poll()) return false;
    link.window.worked(now);
    link.lastReceived = now;
    link.lastWork = now;
    link.busy = true;
    return true;
  }

  #takeTurn(): void {
    const links = this.#links;
    let worked = false;
    const now = this.#now();
    // A handler of the program may throw out of `poll`; the turns must go on nevertheless.
    let finished = false;
    try {
      for (let i = 0; i < links.length; i++) if (this.#pollLink(links[i], now)) worked = true;
      finished = true;
    } finally {
      if (!finished) this.#scheduler.soon(this.#turn);
    }
    if (worked) this.#idleUntil = 0;
    else this.#idle(now);
    if (this.#links.length > 0) this.#scheduler.soon(this.#turn);
    else this.#running = false;
  }

  #idle(now: number): void {
    const links = this.#links;
    for (let i = links.length - 1; i >= 0; i--) {
      const link = links[i];
      const idle = now - link.lastWork;
      if (idle < link.window.length && this.#budget > 0 && now >= this.#contendedUntil) continue;
      if (!link.sleep()) continue;
      link.awake = false;
      links.splice(i, 1);
      link.window.expired();
      this.#spend(idle, now);
    }
    if (links.length === 0) return;
    this.#yield();
    const after = this.#now();
    // The way through the event loop between two such turns is part of polling.
    this.idleTime += after - (now - this.#idleUntil < idleIterationMax ? this.#idleUntil : now);
    this.#idleUntil = after;
    if (after - now < foreignYield) {
      this.#foreignYields = 0;
    } else if (++this.#foreignYields >= foreignYieldsMax) {
      this.#foreignYields = foreignYieldsMax - 1;
      this.#contendedUntil = after + contendedTime;
    }
  }

  #spend(idle: number, now: number): void {
    const refill = (now - this.#budgetTime) * budgetShare;
    this.#budgetTime = now;
    this.#budget = Math.min(this.#budget + refill, budgetMax) - idle;
  }
}
