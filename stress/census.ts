/** What the package holds in this process, counted from inside. To be set up before the first socket. */

import type { WSPUPCALLTABLEEX } from '../src/spi/index.js';
import { packageModule } from './package-under-test.js';

export interface Census {
  /** Switch handles that are open. */
  handles: number;
  /** Provider sockets that are not closed, and those that are still reachable after a garbage collection. */
  sockets: number;
  reachable: number;
  links: number;
  connections: number;
}

interface ProviderSocketRecord {
  readonly closed: boolean;
}

/** Instances that the package makes are met in the first calls of their methods. */
interface Met {
  upcalls: { readonly handleCount: number; readonly table: WSPUPCALLTABLEEX } | null;
  links: { readonly all: Iterable<{ readonly connectionCount: number }> } | null;
}

/** When a link last ended or failed to come about, in milliseconds since the epoch; 0: none has. */
export const lastLinkEnd = { time: 0 };

type Method = (this: object, ...args: unknown[]) => unknown;

function observe(prototype: object, name: string, look: (self: object) => void): void {
  const methods = prototype as Record<string, Method>;
  const original = methods[name];
  methods[name] = function (this: object, ...args: unknown[]) {
    look(this);
    return original.apply(this, args);
  };
}

/** Starts counting. The function it returns collects garbage, if the program may, and tells. */
export async function startCensus(): Promise<() => Promise<Census>> {
  const { Upcalls } = await packageModule<typeof import('../src/switch/upcalls.js')>('switch/upcalls');
  const { Links } = await packageModule<typeof import('../src/providers/shared-memory/links.js')>(
    'providers/shared-memory/links',
  );
  const { HandshakeChannel } = await packageModule<
    typeof import('../src/providers/shared-memory/handshake-channel.js')
  >('providers/shared-memory/handshake-channel');
  const met: Met = { upcalls: null, links: null };
  const sockets = new Set<WeakRef<ProviderSocketRecord>>();
  observe(Upcalls.prototype, 'takeCreated', (self) => {
    if (met.upcalls !== null) return;
    met.upcalls = self as NonNullable<Met['upcalls']>;
    const { table } = met.upcalls;
    const { WPUCreateSocketHandle } = table;
    table.WPUCreateSocketHandle = (catalogEntryId, context, lpErrno) => {
      sockets.add(new WeakRef(context as ProviderSocketRecord));
      return WPUCreateSocketHandle(catalogEntryId, context, lpErrno);
    };
  });
  for (const name of ['addListener', 'connect']) {
    observe(Links.prototype, name, (self) => {
      met.links = self as NonNullable<Met['links']>;
    });
  }
  const end = (): void => {
    lastLinkEnd.time = performance.timeOrigin + performance.now();
  };
  observe(Links.prototype, 'ended', end);
  observe(HandshakeChannel.prototype, 'refuse', end);

  return async () => {
    // Finalizers run in a later turn, and what they free may hold more.
    for (let i = 0; i < 4; i++) {
      globalThis.gc?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    let open = 0;
    for (const reference of sockets) {
      const socket = reference.deref();
      if (socket === undefined) sockets.delete(reference);
      else if (!socket.closed) open++;
    }
    let connections = 0;
    const links = [...(met.links?.all ?? [])];
    for (const { connectionCount } of links) connections += connectionCount;
    return {
      handles: met.upcalls?.handleCount ?? 0,
      sockets: open,
      reachable: sockets.size,
      links: links.length,
      connections,
    };
  };
}
