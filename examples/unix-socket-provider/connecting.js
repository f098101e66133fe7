/** A connect under way. */

import { connect } from 'node:net';
import { WSAENOBUFS, WSAETIMEDOUT } from 'sockets-direct/spi';
import { ACCEPT, Frames, frame, REFUSE, REQUEST } from './wire.js';

export class Connecting {
  #host;
  #id;
  #paths;
  #names;
  #ended;
  #raw = null;
  #timer;

  /**
   * `ended(error, raw, frames)` is called once, unless the connect is cancelled. Throws if the system has no file left.
   */
  constructor(host, paths, names, ended) {
    this.#host = host;
    this.#paths = paths;
    this.#names = names;
    this.#ended = ended;
    this.#id = host.rendezvous.newRequest();
    this.#timer = setTimeout(() => this.#expire(), host.connectBudget).unref();
    this.#next();
  }

  /** Tries one after the other of those who say that they listen. */
  #next() {
    const path = this.#paths.shift();
    if (path === undefined) {
      this.#end(WSAETIMEDOUT);
      return;
    }
    const raw = connect(path);
    this.#raw = this.#host.opened(raw);
    const frames = new Frames();
    raw.once('connect', () => raw.write(frame(REQUEST, Buffer.from(JSON.stringify({ id: this.#id, ...this.#names })))));
    raw.on('error', ({ code }) => {
      if (this.#raw !== raw) return;
      this.#raw = null;
      if (code === 'ECONNREFUSED') this.#host.rendezvous.forget(path);
      // Nobody is there any more; anything else is a lack of something here.
      if (code === 'ECONNREFUSED' || code === 'ENOENT') this.#next();
      else this.#end(code === 'EMFILE' || code === 'ENFILE' ? WSAENOBUFS : WSAETIMEDOUT);
    });
    // The process has died, or has closed its listener: TCP/IP may know better.
    raw.on('close', () => {
      if (this.#raw === raw) this.#end(WSAETIMEDOUT);
    });
    raw.on('data', (chunk) => {
      if (this.#raw !== raw) return;
      try {
        frames.push(chunk, (type, payload) => this.#answered(raw, frames, type, payload));
      } catch {
        raw.destroy();
      }
    });
  }

  #connection = null;

  #answered(raw, frames, type, payload) {
    if (this.#connection !== null) {
      // The same chunk goes on with what belongs to the connection.
      this.#connection.take(type, payload);
    } else if (type === ACCEPT) {
      this.#raw = null;
      raw.removeAllListeners('data').removeAllListeners('close');
      this.#connection = this.#end(0, raw, frames);
    } else if (type === REFUSE && payload.length === 4) {
      raw.destroy();
      this.#end(payload.readUInt32LE(0));
    } else {
      throw new Error('no answer');
    }
  }

  #end(error, raw, frames) {
    clearTimeout(this.#timer);
    if (error !== 0) {
      this.#raw = null;
      this.#host.rendezvous.decide(this.#id);
    }
    return this.#ended(error, raw, frames);
  }

  /** The budget is spent. Who has been accepted at the last moment waits for the answer, which is on its way. */
  #expire() {
    if (!this.#host.rendezvous.decide(this.#id)) return;
    const raw = this.#raw;
    this.#end(WSAETIMEDOUT);
    raw?.destroy();
  }

  /** The socket is closed: nobody is told anything any more. */
  cancel() {
    clearTimeout(this.#timer);
    this.#host.rendezvous.decide(this.#id);
    const raw = this.#raw;
    this.#raw = null;
    raw?.destroy();
  }
}
