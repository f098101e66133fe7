/** The providers in use: found in the catalog, started, replaced in the table of addresses, and let go (sections 2 and 3 of the digest). */

import { isDeepStrictEqual } from 'node:util';
import type { Reason } from '../diagnostics/reasons.js';
import type { ProviderStatus } from '../diagnostics/status.js';
import type { TcpipProvider } from '../providers/tcpip/index.js';
import { HEADER_SIZE, PAYLOAD_SIZE_MIN, type SessionOffer } from '../session/index.js';
import type { SanServiceProvider, SOCKET_ADDRESS, WSAPROTOCOL_INFO } from '../spi/index.js';
import { BASE_PROTOCOL, PFL_HIDDEN } from '../spi/index.js';
import { CachedMemory } from './cached-memory.js';
import { Guard } from './guard.js';
import { ProviderMemory } from './provider-memory.js';
import { queryAddresses, type StartedProvider, StartFailure, startProvider } from './provider-table.js';
import { RdmaMemory } from './rdma-memory.js';
import { RoutingTable } from './routing-table.js';
import type { Carrier } from './services.js';
import type { Upcalls } from './upcalls.js';

/** Receive buffers that each side posts at first and once a connection is busy, and bytes of payload that each takes. */
const usualOffer: SessionOffer = { postedBuffers: 8, postedBuffersMax: 32, payloadSize: 16384 };

/** What connections of a provider offer: no message is larger than it takes (WSD-LIM-2). Null if that is too little. */
function offerOf({ messageSizeMax, extensions }: StartedProvider): SessionOffer | null {
  // A multiple of 8, as every offset.
  const payloadSize = Math.min(usualOffer.payloadSize, Math.floor((messageSizeMax - HEADER_SIZE) / 8) * 8);
  // WSD-XFR-10: how this side takes large sends, which is told in the negotiation.
  const large = extensions.WSPRdmaRead === null ? 'write' : 'read';
  return payloadSize < PAYLOAD_SIZE_MIN ? null : { ...usualOffer, payloadSize, large };
}

export interface CarriersOptions {
  readonly tcpip: TcpipProvider;
  /** Providers that are installed (WSCEnumProtocols), in order; or why none is used. */
  providers(): readonly SanServiceProvider[] | Reason;
  /** ProviderIds that control a SAN, the list of WSD-REG-3; absent: all that are installed do. */
  sanProviders?(): ReadonlySet<string>;
  /** Writes of more bytes go by RDMA, whatever the providers wish; infinity: none. Absent: what they wish (WSD-XFR-7). */
  readonly largeThreshold?: number;
  /** Told of a provider that is left out; the answer is the reason to show. */
  startReason(provider: SanServiceProvider, failure: StartFailure): Reason;
  /** True for a provider that never throws: nothing stands between it and the switch. Absent: there is none. */
  isOwn?(provider: SanServiceProvider): boolean;
  /** Told of each call of another provider that throws, which counts as failed with WSAENETDOWN. */
  threw?(provider: SanServiceProvider, call: string, error: unknown): void;
}

interface LeftOut {
  readonly reason: Reason;
  readonly detail: string;
}

export class Carriers {
  readonly routes = new RoutingTable<Carrier>();
  readonly #options: CarriersOptions;
  readonly #upcalls: Upcalls;
  #cachedMemory = new CachedMemory();
  #active: readonly Carrier[] = [];
  /** Removed, but not yet without connections. */
  readonly #retired = new Set<Carrier>();
  readonly #leftOut = new Map<SanServiceProvider, LeftOut>();
  /** Version of the host's address list of which the table is made; null: it has to be asked for again. */
  #addressListVersion: number | null = null;

  constructor(options: CarriersOptions, upcalls: Upcalls) {
    this.#options = options;
    this.#upcalls = upcalls;
  }

  /** Those that new connections may use, in the order of the catalog. */
  get active(): readonly Carrier[] {
    return this.#active;
  }

  /**
   * Enumerates the catalog (WSD-INI-1, WSD-REG-7) and starts what is new (WSD-INI-2, WSD-REG-8). A provider that fails is
   * left out, and the others go on (WSD-INI-18). What is gone is not used any more (WSD-REG-11). Returns why there is none,
   * or null.
   */
  update(): Reason | null {
    const catalog = this.#options.providers();
    const providers = typeof catalog === 'string' ? [] : catalog;
    const known = new Map([...this.#active, ...this.#retired].map((carrier) => [carrier.source, carrier]));
    for (const provider of this.#leftOut.keys()) if (!providers.includes(provider)) this.#leftOut.delete(provider);
    const active: Carrier[] = [];
    let answered = true;
    for (const provider of providers) {
      const carrier = known.get(provider) ?? this.#start(provider);
      if (carrier === null) continue;
      // While it was not used, nobody has asked for its addresses.
      if (this.#retired.delete(carrier)) answered = this.#askAddresses(carrier) && answered;
      active.push(carrier);
    }
    for (const carrier of this.#active) if (!active.includes(carrier)) this.#retired.add(carrier);
    if (this.#active.length === 0) this.#addressListVersion = this.#options.tcpip.addressListVersion();
    if (!answered) this.#addressListVersion = null;
    this.#active = active;
    this.#route();
    if (active.length > 0) return null;
    return typeof catalog === 'string' ? catalog : ([...this.#leftOut.values()].at(-1)?.reason ?? 'no-provider');
  }

  #start(provider: SanServiceProvider): Carrier | null {
    if (this.#leftOut.has(provider)) return null;
    try {
      const unfit = this.#unfit(provider.protocolInfo);
      if (unfit !== null) throw new StartFailure(unfit, 'provider-invalid');
      const started = startProvider(
        provider,
        this.#options.tcpip.protocolInfo,
        this.#upcalls.table,
        this.#cachedMemory,
        this.#guardOf(provider),
      );
      const offer = offerOf(started);
      if (offer !== null) return this.#makeCarrier(provider, started, offer);
      started.table.WSPCleanup({ value: 0 });
      throw new StartFailure(`messages of ${started.messageSizeMax} bytes are too small`);
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error;
      const reason = this.#options.startReason(provider, error);
      this.#leftOut.set(provider, { reason, detail: error.message });
      return null;
    } finally {
      this.#upcalls.takeCreated();
    }
  }

  #guardOf(provider: SanServiceProvider): Guard | null {
    const { isOwn, threw } = this.#options;
    return isOwn?.(provider) === true ? null : new Guard((call, error) => threw?.(provider, call, error));
  }

  #makeCarrier(source: SanServiceProvider, provider: StartedProvider, offer: SessionOffer): Carrier {
    const { providerMemory } = provider.extensions;
    return {
      source,
      provider,
      offer,
      memory: providerMemory && new ProviderMemory(providerMemory, HEADER_SIZE + offer.payloadSize),
      rdmaMemory: new RdmaMemory(provider),
      largeThreshold: this.#options.largeThreshold ?? provider.rdmaThreshold,
      addresses: provider.addresses,
      errno: { value: 0 },
      flags: { value: 0 },
    };
  }

  /** The test that tells a SAN provider from others in the catalog (WSD-REG-5): null, or why it is none. */
  #unfit({ ProviderId, dwProviderFlags, ProtocolChain }: WSAPROTOCOL_INFO): string | null {
    const list = this.#options.sanProviders?.();
    if (list !== undefined && !list.has(ProviderId))
      return `its ProviderId ${ProviderId} is not in the list of SAN providers`;
    if ((dwProviderFlags & PFL_HIDDEN) === 0) return 'it is not hidden (PFL_HIDDEN)';
    return ProtocolChain.ChainLen === BASE_PROTOCOL ? null : 'it is not a base provider (ChainLen)';
  }

  /** The TCP/IP provider tells of changes, also of addresses that a SAN serves; then all are asked (WSD-TBL-6, WSD-TBL-7). True: the table is another one. */
  refresh(): boolean {
    const version = this.#options.tcpip.addressListVersion();
    if (version === this.#addressListVersion) return false;
    let answered = true;
    let changed = false;
    for (const carrier of this.#active) {
      const before = carrier.addresses;
      answered = this.#askAddresses(carrier) && answered;
      changed ||= !isDeepStrictEqual(carrier.addresses, before);
    }
    this.#route();
    // Who could not answer serves nothing, and is asked again next time.
    this.#addressListVersion = answered ? version : null;
    return changed;
  }

  /** False: it could not answer, and serves nothing. */
  #askAddresses(carrier: Carrier): boolean {
    const addresses = queryAddresses(carrier.provider.table, carrier.errno);
    this.#upcalls.takeCreated();
    carrier.addresses = addresses ?? [];
    return addresses !== null;
  }

  #route(): void {
    this.routes.clear();
    for (const carrier of this.#active) this.routes.add(carrier, carrier.addresses);
  }

  /** A provider that was removed has no connections any more, and is cleaned up (WSD-REG-11). */
  release(carrier: Carrier): void {
    if (!this.#retired.delete(carrier)) return;
    this.#cachedMemory.forget(carrier.provider.extensions);
    carrier.provider.table.WSPCleanup(carrier.errno);
  }

  isRetired(carrier: Carrier): boolean {
    return this.#retired.has(carrier);
  }

  get retired(): readonly Carrier[] {
    return [...this.#retired];
  }

  /** WSPCleanup of every provider; the next `update` starts them again. */
  cleanup(): void {
    for (const carrier of [...this.#active, ...this.#retired]) carrier.provider.table.WSPCleanup(carrier.errno);
    this.#active = [];
    this.#retired.clear();
    this.#leftOut.clear();
    this.#cachedMemory = new CachedMemory();
    this.#addressListVersion = null;
    this.routes.clear();
  }

  /** For status displays. */
  status(): ProviderStatus[] {
    const describe = (
      { name, protocolInfo: { ProviderId } }: SanServiceProvider,
      state: ProviderStatus['state'],
      why: LeftOut | null = null,
      addresses: readonly SOCKET_ADDRESS[] = [],
    ): ProviderStatus => ({
      name,
      providerId: ProviderId,
      state,
      reason: why?.reason ?? null,
      detail: why?.detail ?? null,
      addresses: addresses.map(({ lpSockaddr: { address }, prefixLength }) =>
        prefixLength === undefined ? address : `${address}/${prefixLength}`,
      ),
    });
    return [
      ...this.#active.map(({ source, addresses }) => describe(source, 'started', null, addresses)),
      ...[...this.#leftOut].map(([provider, why]) => describe(provider, 'left-out', why)),
      ...[...this.#retired].map(({ source }) => describe(source, 'removed')),
    ];
  }
}
