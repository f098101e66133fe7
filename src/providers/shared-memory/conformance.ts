/** What the conformance kit needs of this provider: two event loops' worth of it in one process, and peers that lie. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Joined, Liar, Malice, Party, RawConnection, Rig, RigOptions, Subject } from '../../conformance/index.js';
import type { Reason } from '../../diagnostics/reasons.js';
import { loadPlatform } from '../../platform/index.js';
import { ARENA_SIZE } from './arena.js';
import { LinkEndpoint } from './endpoint.js';
import { encodeMessage, MessageType } from './handshake.js';
import * as providerModule from './provider.js';
import { SharedMemoryProvider } from './provider.js';
import type { NotifyAddresses } from './proxy.js';
import { Rendezvous } from './rendezvous.js';
import type { Scheduler } from './scheduler.js';

/** Turns of the loop without anything to do after which nothing is under way. */
const quietTurns = 5;

const scheduler: Scheduler = {
  soon: (task) => {
    setImmediate(task);
  },
  later: (task, milliseconds) => {
    const timer = setTimeout(task, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};
const now = (): number => performance.now() * 1000;

/** Beyond what the kit needs, for tests of this provider alone. */
export interface SharedMemoryRig extends Rig {
  /** Where the providers find each other. */
  readonly place: string;
  /** Why links and connections were ended, and peers refused. */
  readonly reasons: readonly Reason[];
}

interface Made {
  readonly party: Party;
  readonly provider: SharedMemoryProvider;
}

interface Making {
  readonly directory: string;
  readonly options: RigOptions;
  readonly notifyAddresses?: NotifyAddresses;
  count(reason: Reason): void;
}

function make({ directory, options, count, ...more }: Making): Made {
  const { connectBudget, peerMemory = process.env.SOCKETS_DIRECT_PEER_MEMORY !== 'off' } = options;
  const environment = { SOCKETS_DIRECT_DIR: directory, SOCKETS_DIRECT_PEER_MEMORY: peerMemory ? '' : 'off' };
  const provider = new SharedMemoryProvider({
    environment,
    now,
    scheduler,
    random: () => 0,
    connectBudget,
    count,
    ...more,
  });
  const others = ['127.0.0.2', '127.0.0.99'];
  return {
    provider,
    party: {
      provider,
      processId: process.pid,
      address: '127.0.0.1',
      others,
      // The end of a process is the end of its Unix sockets, without a word on the ring.
      kill: () => provider.links?.close(),
      exhaust: () => {
        const platform = loadPlatform();
        const former = platform.limitDescriptors(0);
        return () => platform.limitDescriptors(former);
      },
    },
  };
}

/** `server`: what only the server gets, for tests of this provider alone. */
export function openSharedMemory(
  options: RigOptions,
  server: { readonly notifyAddresses?: NotifyAddresses } = {},
): SharedMemoryRig {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-direct-kit-'));
  const reasons: Reason[] = [];
  const count = (reason: Reason): void => {
    reasons.push(reason);
  };
  const more = (): Made => make({ directory, options, count });
  const made = [make({ directory, options, count, ...server }), more(), more()] as const;
  const liars: (() => void)[] = [];
  const isQuiet = (): boolean =>
    made.every(({ provider: { links } }) => [...(links?.all ?? [])].every((one) => !one.hasRecords && !one.hasWaiting));
  return {
    server: made[0].party,
    client: made[1].party,
    next: made[2].party,
    place: directory,
    reasons,
    malice: maliceIn(directory, liars),
    settle: async () => {
      for (let quiet = 0; quiet < quietTurns; quiet = isQuiet() ? quiet + 1 : 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    close: () => {
      for (const end of liars) end();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function maliceIn(directory: string, liars: (() => void)[]): Malice {
  const rendezvousOf = (): Rendezvous => {
    const platform = loadPlatform();
    const rendezvous = new Rendezvous({ environment: { SOCKETS_DIRECT_DIR: directory }, platform });
    liars.push(() => rendezvous.close());
    return rendezvous;
  };
  const tokenOf = (rendezvous: Rendezvous, port: number): string => rendezvous.list(port)[0]?.token ?? '';
  return {
    stranger: (port) => {
      const rendezvous = rendezvousOf();
      return rawConnection(rendezvous.findSocket(tokenOf(rendezvous, port)) ?? '');
    },
    greeting: () => handshakeMessage(MessageType.hello, nextToken()),
    // Requests and all that follows are in the memory of the link; `liar` spoils that.
    greetingOnlyJoins: true,
    messages: () => {
      const ready = handshakeMessage(MessageType.ready, nextToken());
      // Behind it whoever has written into that memory says so, with a byte.
      return [ready, Buffer.concat([ready, Buffer.from([1, 1, 1])])];
    },
    liar: async (port) => {
      const rendezvous = rendezvousOf();
      const platform = loadPlatform();
      const endpoint = new LinkEndpoint({
        platform,
        rendezvous,
        now,
        scheduler,
        arenaSize: ARENA_SIZE,
        onLink: () => {},
      });
      const { arena, socket } = await endpoint.dial(tokenOf(rendezvous, port));
      socket.resume();
      const words = new Int32Array(arena);
      const close = (): void => {
        socket.destroy();
        endpoint.close();
      };
      liars.push(close);
      return {
        // Control words, request states, and the head of both rings, where all that is looked at soon is.
        spoil: (random) => {
          const [from, below] = spoiled[random(spoiled.length)]!;
          words[from + random(below)] = (random(2) === 0 ? random(16) : random(0x7fff_ffff)) | 0;
          if (random(4) === 0 && !socket.destroyed) socket.write(Uint8Array.of(1));
        },
        get ended() {
          return socket.destroyed;
        },
        close,
      } satisfies Liar;
    },
  };
}

/** Each stranger is somebody else: one with a known name would be taken for the same peer once more. */
let strangers = 0;

function nextToken(): string {
  return (++strangers).toString(16).padStart(24, '0');
}

function handshakeMessage(type: MessageType, token: string): Buffer {
  return encodeMessage({
    type,
    lowestVersion: 1,
    highestVersion: 1,
    arenaSize: ARENA_SIZE,
    token,
    networkNamespace: loadPlatform().networkNamespaceCookie(),
    refusal: null,
    probe: null,
  });
}

/** Parts of an arena by first word and number of words (arena.ts). */
const spoiled: readonly (readonly [number, number])[] = [
  [0, 192],
  [1024, 64],
  [66_560, 64],
  [132_096, 1024],
  [656_384, 1024],
];

function rawConnection(path: string): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.on('error', reject);
    socket.on('data', () => {});
    socket.once('connect', () =>
      resolve({
        write: (bytes) => {
          if (!socket.destroyed) socket.write(bytes);
        },
        get ended() {
          return socket.destroyed;
        },
        close: () => socket.destroy(),
      }),
    );
  });
}

const subject: Subject = {
  name: 'shared-memory',
  url: import.meta.url,
  capabilities: {
    flowControl: false,
    rdmaWrite: true,
    rdmaRead: true,
    registrationCache: true,
    duplication: true,
    loopback: true,
    hosts: false,
    providerMemory: true,
  },
  // As many as the kernel's queue of a port holds by default (net.core.somaxconn).
  somaxconn: 4096,
  module: async () => providerModule,
  open: (options) => openSharedMemory(options),
  join: (place, options): Joined => ({
    party: make({ directory: place, options, count: () => {} }).party,
    close: () => {},
  }),
};
export default subject;
