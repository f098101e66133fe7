/** The queue of a listening socket, and the connects that fill it. */

import { createServer, isIP } from 'node:net';
import { FD_ACCEPT, SOMAXCONN, WSAECONNREFUSED, WSAETIMEDOUT } from 'sockets-direct/spi';
import { idPattern } from './rendezvous.js';
import { Frames, frame, REFUSE, REQUEST } from './wire.js';

/** What SOMAXCONN means here. */
const backlogMax = 4096;
const clamp = (backlog) => (backlog === SOMAXCONN ? backlogMax : Math.max(1, Math.min(backlog, backlogMax)));

export function refusal(error) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(error);
  return frame(REFUSE, bytes);
}

/** Somebody who wants to be connected. */
class Request {
  constructor(rendezvous, raw, frames, { id, caller, callee }) {
    Object.assign(this, { rendezvous, raw, frames, id, caller, callee });
  }

  get isPending() {
    return !this.raw.destroyed && this.rendezvous.isUndecided(this.id);
  }

  /** False if the client has given up meanwhile. */
  accept() {
    return this.rendezvous.decide(this.id);
  }

  refuse(error) {
    if (this.rendezvous.decide(this.id)) this.raw.end(refusal(error));
    else this.raw.destroy();
  }
}

export class Listener {
  /** A condition function runs. */
  isAsking = false;
  #socket;
  #rendezvous;
  #server;
  #backlog;
  #queue = [];
  #strangers = new Set();

  /** Throws if the system has no socket left. */
  constructor(socket, backlog, { rendezvous, opened }) {
    this.#socket = socket;
    this.#rendezvous = rendezvous;
    this.#backlog = clamp(backlog);
    this.#server = createServer((raw) => this.#arrived(opened(raw)));
    this.#server.on('error', () => {});
    this.#server.listen({ path: rendezvous.newPath(socket.local), backlog: backlogMax });
    if (!this.#server.listening) throw new Error('cannot listen');
    opened(this.#server);
  }

  /** Nobody is believed before a whole request has come. */
  #arrived(raw) {
    const frames = new Frames();
    this.#strangers.add(raw);
    raw.on('error', () => {});
    raw.once('close', () => this.#strangers.delete(raw));
    const read = (chunk) => {
      try {
        frames.push(chunk, (type, payload) => {
          // Once: nothing more may be said before the answer.
          if (type !== REQUEST || !this.#strangers.delete(raw)) throw new Error('no request');
          this.#requested(new Request(this.#rendezvous, raw, frames, this.#parse(payload)));
        });
      } catch {
        raw.destroy();
      }
    };
    raw.on('data', read);
  }

  #parse(payload) {
    const { id, caller, callee } = JSON.parse(payload.toString());
    const { local } = this.#socket;
    const reached = callee?.port === local.port && (local.address === '0.0.0.0' || callee.address === local.address);
    if (typeof id !== 'string' || !idPattern.test(id) || !isName(caller) || !isName(callee) || !reached) {
      throw new Error('no request');
    }
    return { id, caller: nameOf(caller), callee: nameOf(callee) };
  }

  #requested(request) {
    this.#forgetEnded();
    if (this.#queue.length >= this.#backlog) {
      request.refuse(WSAECONNREFUSED);
      return;
    }
    this.#queue.push(request);
    this.#socket.record(FD_ACCEPT, 0);
  }

  #forgetEnded() {
    this.#queue = this.#queue.filter((request) => request.isPending);
  }

  /** The oldest request that is still wanted. */
  get first() {
    while (this.#queue.length > 0 && !this.#queue[0].isPending) this.#queue.shift();
    return this.#queue[0] ?? null;
  }

  remove(request) {
    this.#queue = this.#queue.filter((one) => one !== request);
  }

  /** A second WSPListen: the newest are too many. */
  setBacklog(backlog) {
    this.#backlog = clamp(backlog);
    this.#forgetEnded();
    for (const request of this.#queue.splice(this.#backlog)) request.refuse(WSAECONNREFUSED);
  }

  /** Who waits may find somebody by TCP/IP. */
  close() {
    this.#server.close();
    for (const raw of this.#strangers) raw.destroy();
    for (const request of this.#queue.splice(0)) request.refuse(WSAETIMEDOUT);
  }
}

function isName(name) {
  return isIP(name?.address ?? '') === 4 && Number.isInteger(name.port) && name.port > 0 && name.port < 65_536;
}

function nameOf({ address, port }) {
  return { sa_family: 2, address, port };
}
