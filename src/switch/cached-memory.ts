/**
 * Memory that a provider may keep registered after it was deregistered, and telling every provider when it goes away
 * (WSD-CCH-6).
 *
 * On Windows the system says so before an application frees memory that was secured. JavaScript has no such call, so the
 * points are these. Memory of the switch: before it is let go. Memory of the program: a buffer that was detached,
 * transferred or resized is noticed when memory is next registered, which is late, but before its entry could be used, since
 * a detached buffer cannot be registered. And only the last {@link notedMax} buffers stay cached, so that a provider that
 * holds memory does not hold it for ever.
 */

import {
  type ExtensionFunctions,
  type MemoryRegion,
  type Out,
  WSAEFAULT,
  type WSPMemoryRegistrationCacheCallback,
} from '../spi/index.js';

/** Buffers that may be cached at one time, apart from those that are still registered. */
export const notedMax = 64;

interface Noted {
  /** Weak, because memory that nobody can reach any more can be named by nobody either. */
  readonly buffer: WeakRef<ArrayBufferLike>;
  /** Bytes when it was registered. */
  readonly size: number;
}

export class CachedMemory {
  readonly #callbacks: WSPMemoryRegistrationCacheCallback[] = [];
  /** Oldest first. */
  #noted: Noted[] = [];
  /** All of a buffer, made while that is possible: a detached one gives no views. */
  readonly #regions = new WeakMap<ArrayBufferLike, MemoryRegion>();
  readonly #errno: Out<number> = { value: 0 };

  /** The provider's functions; those of one that caches note what they register. */
  watch(extensions: ExtensionFunctions): ExtensionFunctions {
    const { WSPRegisterMemory, WSPRegisterRdmaMemory, WSPMemoryRegistrationCacheCallback: callback } = extensions;
    // Whoever caches has to have it (WSD-CCH-9).
    if (callback === null) return extensions;
    this.#callbacks.push(callback);
    return {
      ...extensions,
      WSPRegisterMemory: (s, region, ...more) => {
        const handle = WSPRegisterMemory(s, region, ...more);
        if (handle !== null) this.#note(region.bytes.buffer);
        return handle;
      },
      WSPRegisterRdmaMemory: (s, region, ...more) => {
        const result = WSPRegisterRdmaMemory(s, region, ...more);
        if (result === 0) this.#note(region.bytes.buffer);
        return result;
      },
    };
  }

  /** The provider is not there any more. */
  forget({ WSPMemoryRegistrationCacheCallback: callback }: ExtensionFunctions): void {
    const at = callback === null ? -1 : this.#callbacks.indexOf(callback);
    if (at >= 0) this.#callbacks.splice(at, 1);
  }

  #note(buffer: ArrayBufferLike): void {
    const kept: Noted[] = [];
    let left = this.#noted.length;
    for (const one of this.#noted) {
      left--;
      const noted = one.buffer.deref();
      if (noted === undefined) continue;
      const changed = noted.byteLength !== one.size;
      // The newest are behind it, and the one that is to be noted.
      const surplus = left + 1 >= notedMax;
      if (noted === buffer && !changed) continue;
      // What is still registered stays noted, however much it is.
      if ((!changed && !surplus) || this.#tell(noted, one.size) === WSAEFAULT) kept.push(one);
    }
    kept.push({ buffer: new WeakRef(buffer), size: buffer.byteLength });
    if (!this.#regions.has(buffer)) this.#regions.set(buffer, wholeOf(buffer));
    this.#noted = kept;
  }

  /** Memory whose owner is about to let go of it, or to change it. */
  goesAway({ bytes: { buffer } }: MemoryRegion): void {
    if (this.#callbacks.length === 0) return;
    this.#noted = this.#noted.filter((one) => one.buffer.deref() !== buffer);
    this.#tell(buffer, buffer.byteLength);
  }

  /** WSAEFAULT if one of them cannot let go, because a registration is in force; else 0. */
  #tell(buffer: ArrayBufferLike, size: number): number {
    const region = this.#regions.get(buffer) ?? wholeOf(buffer);
    let result = 0;
    for (const callback of this.#callbacks) {
      if (callback(region, size, this.#errno) !== 0 && this.#errno.value === WSAEFAULT) result = WSAEFAULT;
    }
    return result;
  }
}

function wholeOf(buffer: ArrayBufferLike): MemoryRegion {
  return { bytes: new Uint8Array(buffer), words: new Int32Array(0) };
}
