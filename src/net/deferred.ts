/**
 * Stand-ins for the native functions that the hooks replace. They cost a program nothing until it makes its first socket or
 * server: only then the rest of this package is loaded, and the real hooks take their place.
 */

import { AsyncResource } from 'node:async_hooks';
import { fromBinding } from '../providers/tcpip/native.js';

/** The same for every copy of this package in the process. */
const deferredKey = Symbol.for('sockets-direct.deferred');

const registry = globalThis as unknown as { [deferredKey]?: () => void };

const names = ['connect', 'connect6', 'listen', 'bind6', 'isStreamBase'] as const;

/** Calls `install` before the first socket connects or listens. At once where the native class cannot be had so early. */
export function deferHooks(install: () => void): void {
  if (registry[deferredKey] !== undefined) return;
  const TCP = fromBinding('tcp_wrap', 'TCP');
  if (typeof TCP !== 'function') {
    install();
    return;
  }
  const deferred = new Deferred((TCP as { prototype: object }).prototype, install);
  Object.defineProperty(registry, deferredKey, { value: () => deferred.start() });
}

/** Puts the real hooks in place now, if they have been deferred. */
export function startDeferred(): void {
  registry[deferredKey]?.();
}

class Deferred {
  readonly #prototype: object;
  readonly #install: () => void;
  // Whoever happens to be first must not lend its asynchronous context to the whole process.
  readonly #root = new AsyncResource('SOCKETSDIRECT');
  readonly #originals: readonly (PropertyDescriptor | undefined)[];
  readonly #standIns: readonly PropertyDescriptor[];
  /** What stands behind the stand-ins, once it is known. */
  #hooks: readonly (PropertyDescriptor | undefined)[] | null = null;
  #started = false;

  constructor(prototype: object, install: () => void) {
    this.#prototype = prototype;
    this.#install = install;
    this.#originals = this.#own();
    this.#standIns = names.map((_, i) => this.#standIn(i));
    this.#put(this.#standIns);
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    const found = this.#own();
    this.#put(this.#originals);
    this.#root.runInAsyncScope(this.#install);
    this.#hooks = this.#own();
    // A program may have put something in front of a stand-in, which then leads to the hook.
    const isOurs = (i: number): boolean =>
      found[i]?.value === this.#standIns[i].value && found[i]?.get === this.#standIns[i].get;
    this.#put(this.#hooks.map((hook, i) => (isOurs(i) ? hook : found[i])));
  }

  #own(): (PropertyDescriptor | undefined)[] {
    return names.map((name) => Object.getOwnPropertyDescriptor(this.#prototype, name));
  }

  #put(descriptors: readonly (PropertyDescriptor | undefined)[]): void {
    names.forEach((name, i) => {
      const descriptor = descriptors[i];
      if (descriptor !== undefined) Object.defineProperty(this.#prototype, name, descriptor);
      else Reflect.deleteProperty(this.#prototype, name);
    });
  }

  /** The member behind a stand-in, as it is for `self`. */
  #behind(i: number, self: object): unknown {
    this.start();
    const { get, value } = this.#hooks?.[i] ?? {};
    if (get !== undefined) return get.call(self);
    return value ?? Reflect.get(Object.getPrototypeOf(this.#prototype) as object, names[i], self);
  }

  #standIn(i: number): PropertyDescriptor {
    const behind = (self: object): unknown => this.#behind(i, self);
    const common = { configurable: true, enumerable: true };
    if (names[i] !== 'isStreamBase') {
      const value = function (this: object, ...args: unknown[]): unknown {
        return (behind(this) as (...args: unknown[]) => unknown).apply(this, args);
      };
      return { ...common, writable: true, value };
    }
    return {
      ...common,
      get(this: object) {
        return behind(this);
      },
      set() {},
    };
  }
}
