/** One end of the scenarios of a file, in a process of its own: performs one after the other as it is told. */

import diagnosticsChannel from 'node:diagnostics_channel';
import { once } from 'node:events';
import type net from 'node:net';
import { carrier, report } from '../../e2e/programs/support.js';
import type { ClientEnd, Scenarios, ServerEnd } from './scenario.js';

const lifeEvents = ['lookup', 'connect', 'ready', 'timeout', 'drain', 'end', 'finish', 'error', 'close'];

type Order =
  | { kind: 'run'; title: string; port: number }
  | { kind: 'told'; word: string }
  | { kind: 'collect' }
  | { kind: 'leave' };

function describe(argument: unknown): string {
  if (!(argument instanceof Error)) return typeof argument === 'boolean' ? String(argument) : '';
  const { code, syscall, errno, message } = argument as NodeJS.ErrnoException;
  return `${argument.name} ${code} ${syscall} ${errno} ${message.replace(/\b\d{4,5}\b/g, 'PORT')}`;
}

/** By pipes two processes with Sockets Direct know each other; the core channels tell of them too. */
function isPipe(socket: net.Socket): boolean {
  return socket.remoteAddress === undefined && !socket.connecting;
}

class Performance implements ServerEnd, ClientEnd {
  readonly notes: string[] = [];
  readonly sockets = new Set<net.Socket>();
  readonly #servers: net.Server[] = [];
  readonly #told: string[] = [];
  readonly #wakes = new Set<() => void>();

  constructor(readonly port: number) {}

  note = (...words: unknown[]): void => {
    this.notes.push(words.map(String).join(' '));
  };

  watch = (emitter: NodeJS.EventEmitter, events: readonly string[] = lifeEvents, label = ''): void => {
    for (const event of events) {
      emitter.on(event, (argument: unknown) => this.note(`${label}${event}`, describe(argument)));
    }
  };

  gather = (socket: net.Socket): void => {
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('end', () => this.note('text', text));
  };

  closed = async (emitter: net.Socket | net.Server): Promise<void> => {
    if ('closed' in emitter && emitter.closed) return;
    emitter.on('error', () => {});
    await new Promise<void>((resolve) => {
      emitter.on('close', () => resolve());
    });
  };

  tell = (word: string): void => report('tell', { word });

  told = async (word: string): Promise<void> => {
    while (!this.#told.includes(word)) {
      await new Promise<void>((resolve) => {
        this.#wakes.add(resolve);
      });
    }
    this.#told.splice(this.#told.indexOf(word), 1);
  };

  hear(word: string): void {
    this.#told.push(word);
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
  }

  listen = async (server: net.Server, options?: net.ListenOptions): Promise<number> => {
    this.#servers.push(server);
    server.listen({ port: 0, host: '127.0.0.1', ...options });
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    this.begin(port);
    return port;
  };

  begin = (port: number): void => report('begin', { port });

  /** Closes what the scenario has left open. */
  async leave(): Promise<void> {
    for (const socket of this.sockets) if (!isPipe(socket)) socket.on('error', () => {}).destroy();
    await Promise.all(
      this.#servers.map(async (server) => {
        if (server.listening) await new Promise<unknown>((resolve) => server.close(resolve));
      }),
    );
  }
}

export function perform(role: 'server' | 'client', scenarios: Scenarios): void {
  let current = new Performance(0);
  diagnosticsChannel.subscribe('net.client.socket', (message) => {
    current.sockets.add((message as { socket: net.Socket }).socket);
  });
  diagnosticsChannel.subscribe('net.server.socket', (message) => {
    const { socket } = message as { socket: net.Socket };
    if (!isPipe(socket)) current.sockets.add(socket);
  });
  process.on('message', async (order: Order) => {
    if (order.kind === 'told') current.hear(order.word);
    if (order.kind === 'leave') {
      await current.leave();
      report('left');
    }
    if (order.kind === 'collect') {
      const carriers = [...current.sockets].map((socket) => carrier(socket));
      report('notes', {
        notes: current.notes,
        carriers: [...new Set(carriers.map(({ provider }) => provider))].filter((one) => one !== null),
        reasons: [...new Set(carriers.map(({ reason }) => reason))].filter((one) => one !== null),
      });
    }
    if (order.kind !== 'run') return;
    current = new Performance(order.port);
    try {
      await scenarios[order.title][role](current);
    } catch (error) {
      current.note(`failed: ${(error as Error).stack}`);
      report('failed');
      return;
    }
    report('done');
  });
  process.channel?.ref();
  report('ready');
}
