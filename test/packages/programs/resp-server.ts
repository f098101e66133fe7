/**
 * A server of the Redis protocol (RESP2) on node:net for tests of clients: strings, lists with blocking pops, MULTI with WATCH,
 * channels. Written to the protocol's specification: commands are arrays of bulk strings and may come in any pieces.
 */

import net from 'node:net';

type Reply = null | number | Buffer | string | Error | readonly Reply[];
type Arguments = readonly Buffer[];

/** A status such as OK, as opposed to a bulk string. */
class Status extends String {}
const ok = new Status('OK');

function encode(reply: Reply | Status, out: (Buffer | string)[]): void {
  if (reply === null) out.push('$-1\r\n');
  else if (typeof reply === 'number') out.push(`:${reply}\r\n`);
  else if (reply instanceof Status) out.push(`+${reply}\r\n`);
  else if (reply instanceof Error) out.push(`-${reply.message}\r\n`);
  else if (typeof reply === 'string') out.push(`$${Buffer.byteLength(reply)}\r\n${reply}\r\n`);
  else if (Buffer.isBuffer(reply)) out.push(`$${reply.length}\r\n`, reply, '\r\n');
  else {
    const list = reply as readonly Reply[];
    out.push(`*${list.length}\r\n`);
    for (const one of list) encode(one, out);
  }
}

/** Cuts a stream of bytes into commands. */
class Parser {
  #rest: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #bytes = 0;
  /** No use to look again before so many bytes are there. */
  #needed = 1;

  *take(chunk: Buffer): Generator<Arguments> {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#needed) return;
    this.#rest = Buffer.concat(this.#parts);
    let at = 0;
    for (;;) {
      const command = this.#command(at);
      if (command === null) break;
      at = command.end;
      yield command.args;
    }
    this.#parts = [this.#rest.subarray(at)];
    this.#bytes = this.#rest.length - at;
    this.#needed = Math.max(this.#needed - at, this.#bytes + 1);
  }

  #command(from: number): { args: Arguments; end: number } | null {
    const count = this.#number(from, '*');
    if (count === null) return null;
    const args: Buffer[] = [];
    let at = count.end;
    for (let i = 0; i < count.value; i++) {
      const length = this.#number(at, '$');
      if (length === null) return null;
      const end = length.end + length.value;
      if (this.#rest.length < end + 2) {
        this.#needed = end + 2;
        return null;
      }
      args.push(this.#rest.subarray(length.end, end));
      at = end + 2;
    }
    return { args, end: at };
  }

  #number(from: number, mark: string): { value: number; end: number } | null {
    const end = this.#rest.indexOf('\r\n', from);
    if (end < 0) return null;
    const line = this.#rest.toString('latin1', from, end);
    if (!/^[*$]\d+$/.test(line) || line[0] !== mark) throw new Error(`'${line}' where ${mark} and a number have to be`);
    return { value: Number(line.slice(1)), end: end + 2 };
  }
}

interface Blocked {
  readonly session: Session;
  readonly give: (key: string, value: Buffer) => void;
}

/** What all connections share. */
class Store {
  readonly strings = new Map<string, Buffer>();
  readonly lists = new Map<string, Buffer[]>();
  readonly channels = new Map<string, Set<Session>>();
  readonly blocked = new Map<string, Blocked[]>();
  readonly versions = new Map<string, number>();

  touch(key: string): void {
    this.versions.set(key, (this.versions.get(key) ?? 0) + 1);
  }
}

class Session {
  readonly #socket: net.Socket;
  readonly #store: Store;
  readonly #parser = new Parser();
  #queue: Arguments[] | null = null;
  #broken = false;
  readonly #watched = new Map<string, number>();
  readonly #subscribed = new Set<string>();
  /** Commands behind a blocking one. */
  #waiting: Arguments[] | null = null;

  constructor(socket: net.Socket, store: Store) {
    this.#socket = socket;
    this.#store = store;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      for (const channel of this.#subscribed) store.channels.get(channel)?.delete(this);
      for (const list of store.blocked.values()) {
        const at = list.findIndex(({ session }) => session === this);
        if (at >= 0) list.splice(at, 1);
      }
    });
  }

  send(...replies: readonly (Reply | Status)[]): void {
    const out: (Buffer | string)[] = [];
    for (const reply of replies) encode(reply, out);
    this.#socket.cork();
    for (const part of out) this.#socket.write(part);
    this.#socket.uncork();
  }

  #receive(chunk: Buffer): void {
    this.#socket.cork();
    try {
      for (const args of this.#parser.take(chunk)) this.#run(args);
    } catch (error) {
      this.#socket.end(`-ERR Protocol error: ${(error as Error).message}\r\n`);
    }
    this.#socket.uncork();
  }

  #run(args: Arguments): void {
    if (this.#waiting !== null) {
      this.#waiting.push(args);
      return;
    }
    const name = String(args[0]).toUpperCase();
    if (this.#queue !== null && !['EXEC', 'DISCARD', 'MULTI', 'WATCH'].includes(name)) {
      if (!(name in commands)) this.#broken = true;
      else this.#queue.push(args);
      this.send(name in commands ? new Status('QUEUED') : unknown(name));
      return;
    }
    const own = this.#own(name, args.slice(1));
    if (own !== undefined) this.send(...own);
    else this.send(this.#ask(args));
  }

  #ask(args: Arguments): Reply | Status {
    const name = String(args[0]).toUpperCase();
    const command = commands[name];
    return command === undefined ? unknown(name) : command(this.#store, args.slice(1));
  }

  /** Commands that are about the connection; undefined: it is another one. */
  #own(name: string, args: Arguments): (Reply | Status)[] | undefined {
    const keys = args.map(String);
    switch (name) {
      case 'MULTI':
        this.#queue = [];
        this.#broken = false;
        return [ok];
      case 'DISCARD':
        this.#queue = null;
        this.#watched.clear();
        return [ok];
      case 'EXEC':
        return [this.#exec()];
      case 'WATCH':
        for (const key of keys) this.#watched.set(key, this.#store.versions.get(key) ?? 0);
        return [ok];
      case 'SUBSCRIBE':
        return keys.map((channel) => this.#subscribe(channel));
      case 'UNSUBSCRIBE':
        return (keys.length > 0 ? keys : [...this.#subscribed]).map((channel) => this.#unsubscribe(channel));
      case 'BLPOP':
        return this.#block(keys.slice(0, -1));
      case 'QUIT':
        this.send(ok);
        this.#socket.end();
        return [];
      default:
        return undefined;
    }
  }

  #exec(): Reply {
    const queue = this.#queue ?? [];
    const changed = [...this.#watched].some(([key, version]) => (this.#store.versions.get(key) ?? 0) !== version);
    this.#queue = null;
    this.#watched.clear();
    if (this.#broken) return new Error('EXECABORT Transaction discarded because of previous errors.');
    // Nil, as an array that is none.
    return changed ? null : queue.map((args) => this.#ask(args) as Reply);
  }

  #subscribe(channel: string): Reply {
    this.#subscribed.add(channel);
    const { channels } = this.#store;
    channels.set(channel, (channels.get(channel) ?? new Set()).add(this));
    return ['subscribe', channel, this.#subscribed.size];
  }

  #unsubscribe(channel: string): Reply {
    this.#subscribed.delete(channel);
    this.#store.channels.get(channel)?.delete(this);
    return ['unsubscribe', channel, this.#subscribed.size];
  }

  #block(keys: readonly string[]): (Reply | Status)[] {
    for (const key of keys) {
      const value = this.#store.lists.get(key)?.shift();
      if (value !== undefined) return [[key, value]];
    }
    this.#waiting = [];
    const give = (key: string, value: Buffer): void => {
      for (const other of keys) {
        const list = this.#store.blocked.get(other)!;
        list.splice(list.indexOf(blocked), 1);
      }
      const behind = this.#waiting ?? [];
      this.#waiting = null;
      this.send([key, value]);
      for (const args of behind) this.#run(args);
    };
    const blocked: Blocked = { session: this, give };
    for (const key of keys) {
      const list = this.#store.blocked.get(key) ?? [];
      list.push(blocked);
      this.#store.blocked.set(key, list);
    }
    return [];
  }
}

function unknown(name: string): Error {
  return new Error(`ERR unknown command '${name.toLowerCase()}'`);
}

const commands: Readonly<Record<string, (store: Store, args: Arguments) => Reply | Status>> = {
  PING: (_store, [text]) => text ?? new Status('PONG'),
  ECHO: (_store, [text]) => text ?? null,
  SELECT: () => ok,
  CLIENT: () => ok,
  INFO: () => '# Server\r\nredis_version:7.0.0\r\nloading:0\r\n',
  SET(store, [key, value]) {
    // A copy: what was received is part of a larger buffer.
    store.strings.set(String(key), Buffer.from(value!));
    store.touch(String(key));
    return ok;
  },
  GET: (store, [key]) => store.strings.get(String(key)) ?? null,
  MGET: (store, keys) => keys.map((key) => store.strings.get(String(key)) ?? null),
  DEL(store, keys) {
    let deleted = 0;
    for (const key of keys) {
      if (store.strings.delete(String(key)) || store.lists.delete(String(key))) deleted += 1;
      store.touch(String(key));
    }
    return deleted;
  },
  INCR(store, [key]) {
    const old = store.strings.get(String(key)) ?? '0';
    if (!/^-?\d+$/.test(String(old))) return new Error('ERR value is not an integer or out of range');
    const value = Number(old) + 1;
    store.strings.set(String(key), Buffer.from(String(value)));
    store.touch(String(key));
    return value;
  },
  RPUSH(store, [key, ...values]) {
    const name = String(key);
    const list = store.lists.get(name) ?? [];
    store.lists.set(name, list);
    list.push(...values.map((value) => Buffer.from(value)));
    const { length } = list;
    store.touch(name);
    for (let next = store.blocked.get(name)?.[0]; next !== undefined && list.length > 0; ) {
      next.give(name, list.shift()!);
      next = store.blocked.get(name)?.[0];
    }
    return length;
  },
  LRANGE(store, [key, from, to]) {
    const list = store.lists.get(String(key)) ?? [];
    const index = (text: Buffer | undefined): number => (Number(text) < 0 ? list.length + Number(text) : Number(text));
    return list.slice(index(from), index(to) + 1);
  },
  PUBLISH(store, [channel, message]) {
    const sessions = store.channels.get(String(channel)) ?? new Set();
    for (const session of sessions) session.send(['message', String(channel), message!]);
    return sessions.size;
  },
};

/** A server with an empty store. */
export function createRespServer(): net.Server {
  const store = new Store();
  return net.createServer((socket) => {
    new Session(socket, store);
  });
}
