/** RDMA between two sessions in memory: what is registered is reachable while it is, and operations may be done late. */

import assert from 'node:assert/strict';
import type { Session, SessionRdma } from '../../src/session/index.js';

/** What RDMA needs of the side that it belongs to. */
export interface RdmaHost {
  readonly session: Session;
  readonly companionOpen: boolean;
  readonly tasks: (() => void)[];
  readonly peerRdma: Rdma;
  /** Closes the connection below. */
  closeCompanion(): void;
}

/** How this side's provider behaves. */
export interface RdmaBehaviour {
  readonly readMax: number;
  /** Operations are done when the call returns; else in a later task. */
  readonly immediate: boolean;
}

export class Rdma implements SessionRdma {
  readonly #host: RdmaHost;
  readonly #behaviour: RdmaBehaviour;
  /** What the peer may read, and where it may write. */
  exposed: Uint8Array | null = null;
  granted: Buffer | null = null;
  /** The descriptors of both. */
  readonly #descriptors = { exposed: new Uint8Array(0), granted: new Uint8Array(0) };
  #key = 0;
  /** Calls, in order. */
  readonly calls: string[] = [];
  /** Calls that find no memory. */
  readonly failing = new Set<'expose' | 'grant' | 'read' | 'write'>();
  readonly #running = { read: 0, write: 0 };

  constructor(host: RdmaHost, behaviour: RdmaBehaviour) {
    this.#host = host;
    this.#behaviour = behaviour;
  }

  get readMax(): number {
    return this.#behaviour.readMax;
  }

  #descriptor(of: 'exposed' | 'granted'): Uint8Array {
    this.#key++;
    this.#descriptors[of] = Uint8Array.of(this.#key & 0xff, 1, 2, 3, 4);
    return this.#descriptors[of];
  }

  #check(of: 'exposed' | 'granted', descriptor: Uint8Array): void {
    assert.deepEqual([...descriptor], [...this.#descriptors[of]], 'the descriptor of what is registered');
  }

  expose(bytes: Uint8Array): Uint8Array | null {
    this.calls.push(`expose ${bytes.length}`);
    assert.equal(this.exposed, null, 'one at a time');
    if (this.failing.has('expose')) return null;
    this.exposed = bytes;
    return this.#descriptor('exposed');
  }

  conceal(): void {
    this.calls.push('conceal');
    this.exposed = null;
  }

  read(descriptor: Uint8Array, offset: number, length: number): Buffer | 'pending' | 'failed' {
    this.calls.push(`read ${length}`);
    if (this.failing.has('read')) return 'failed';
    assert.ok(length <= this.readMax && this.#running.read === 0);
    const source = this.#host.peerRdma;
    source.#check('exposed', descriptor);
    const copy = (): Buffer | null => {
      // The peer has closed or reset meanwhile, and its NIC refuses.
      if (source.exposed === null) return null;
      assert.ok(offset + length <= source.exposed.length);
      return Buffer.from(source.exposed.subarray(offset, offset + length));
    };
    if (this.#behaviour.immediate) return copy() ?? 'pending';
    this.#later('read', () => {
      const bytes = copy();
      if (bytes !== null) this.#host.session.transferred(bytes);
    });
    return 'pending';
  }

  grant(length: number): Uint8Array | null {
    this.calls.push(`grant ${length}`);
    assert.equal(this.granted, null, 'one at a time');
    if (this.failing.has('grant')) return null;
    this.granted = Buffer.alloc(length);
    return this.#descriptor('granted');
  }

  takeGranted(): Buffer {
    this.calls.push('take');
    const { granted } = this;
    assert.ok(granted !== null);
    this.granted = null;
    return granted;
  }

  write(bytes: Uint8Array, descriptor: Uint8Array): 'done' | 'pending' | 'failed' {
    this.calls.push(`write ${bytes.length}`);
    if (this.failing.has('write')) return 'failed';
    assert.equal(this.#running.write, 0);
    const target = this.#host.peerRdma;
    const copy = (): boolean => {
      if (target.granted === null) return false;
      target.#check('granted', descriptor);
      target.granted.set(bytes);
      return true;
    };
    if (this.#behaviour.immediate) return copy() ? 'done' : 'pending';
    this.#later('write', () => {
      if (copy()) this.#host.session.transferred(null);
    });
    return 'pending';
  }

  #later(what: 'read' | 'write', end: () => void): void {
    this.#running[what]++;
    this.#host.tasks.push(() => {
      this.#running[what]--;
      if (this.#host.companionOpen) end();
    });
  }

  /** A NIC may be using the memory: only closing ends that. */
  end(): void {
    this.exposed = null;
    if (this.#running.write > 0) this.#host.closeCompanion();
  }

  /** The connection below is closed: nothing is registered any more. */
  cut(): void {
    this.exposed = null;
    this.granted = null;
  }
}
