/** The one place that knows which providers there are: puts the switch of this event loop together. */

import { createSocket } from 'node:dgram';
import { createRequire } from 'node:module';
import { isIPv6 } from 'node:net';
import { catalog } from './catalog/index.js';
import { complain } from './diagnostics/complain.js';
import { count } from './diagnostics/counters.js';
import { outsideOfContexts } from './diagnostics/outside.js';
import type { Reason } from './diagnostics/reasons.js';
import { Recorder } from './diagnostics/recorder.js';
import { addStatusSource, type PeerStatus, status } from './diagnostics/status.js';
import { loadPlatform, type Platform, PlatformError } from './platform/index.js';
import type { Links } from './providers/shared-memory/links.js';
import { SharedMemoryProvider } from './providers/shared-memory/provider.js';
import { createTcpipProvider, type TcpipProvider, type TcpipServiceProvider } from './providers/tcpip/index.js';
import { SharePlace } from './sharing/index.js';
import type { SanServiceProvider, SOCKADDR } from './spi/index.js';
import { type Exclusion, type PortReservation, type Scheduler, Switch } from './switch/index.js';

/** Milliseconds; below the 250 ms after which Node.js tries the next address family. */
const usualConnectBudget = 50;
/** The same where a fallback is an error: there it is no gain to give up soon, and a busy peer would look like a fault. */
const requiredConnectBudget = 200;
/** A minute: whoever wants more wants no fallback. */
const connectBudgetMax = 60_000;
/** Milliseconds for which the end of the process may be held up. */
const exitBudget = 1000;

let instance: Switch | null = null;
let tcpip: TcpipServiceProvider | null = null;
let sharing: SharePlace | null = null;
let links: () => Links | null = () => null;

/** What the conformance kit needs of the providers, by name. The modules of these URLs have it as their default export. */
export const conformanceSubjects: Readonly<Record<string, string>> = {
  'shared-memory': new URL('./providers/shared-memory/conformance.js', import.meta.url).href,
  simulated: new URL('./providers/simulated/conformance.js', import.meta.url).href,
  tcpip: new URL('./providers/tcpip/conformance.js', import.meta.url).href,
};

/** The switch of this event loop, made at the first call. Nothing is loaded from outside before a socket needs it. */
export function getSwitch(): Switch {
  if (instance === null) {
    instance = createSwitch(process.env);
    openStatusLater();
  }
  return instance;
}

/** The TCP/IP provider below the switch of this event loop. */
function getTcpip(): TcpipServiceProvider {
  tcpip ??= createTcpipProvider();
  return tcpip;
}

/** What the Winsock face stands on: the same switch, the TCP/IP provider below it, and time. */
export function winsockServices(): {
  readonly switch: Switch;
  readonly tcpip: TcpipServiceProvider;
  readonly sharing: SharePlace;
  readonly scheduler: Scheduler;
  now(): number;
} {
  sharing ??= new SharePlace(process.env);
  return { switch: getSwitch(), tcpip: getTcpip(), sharing, scheduler, now: () => performance.now() };
}

function createSwitch(environment: Readonly<Record<string, string | undefined>>): Switch {
  // Before the recorder's own end, which would otherwise come first.
  process.on('exit', () => endWithProcess(sharedMemory));
  const trace = environment.SOCKETS_DIRECT_TRACE;
  const recorder = trace === undefined || trace === '' ? null : new Recorder(trace);
  const required = requiresSan(environment);
  const sharedMemory = new SharedMemoryProvider({
    environment,
    now: () => performance.now() * 1000,
    random: Math.random,
    count,
    connectBudget: connectBudgetOf(environment, required ? requiredConnectBudget : usualConnectBudget),
    scheduler,
  });
  links = () => sharedMemory.links;
  const recorded = recorder === null ? (provider: SanServiceProvider) => provider : recordedBy(recorder);
  const installed = catalog();
  installed.builtIn = [sharedMemory];
  installed.inUse = () => made.providers();
  const made = new Switch({
    tcpip: getTcpip(),
    // The net face is not even installed then; the Winsock face works, by TCP/IP alone.
    providers: () =>
      environment.SOCKETS_DIRECT === 'off' ? 'off-by-environment' : installed.providers().map(recorded),
    sanProviders: () => installed.sanProviders(),
    watchProviders: (changed) => installed.watch(changed),
    startReason: ({ name, protocolInfo }, failure) => {
      if (protocolInfo === sharedMemory.protocolInfo) return (sharedMemory.startFailure ?? 'no-provider') as Reason;
      complain(`the provider ${name} is left out: ${failure.message}`);
      return failure.reason;
    },
    isOwn: ({ protocolInfo }) => protocolInfo === sharedMemory.protocolInfo,
    threw: ({ name }, call, error) => {
      count('provider-error');
      complain(`the provider ${name} throws in ${call}: ${error}`);
    },
    scheduler,
    now: () => performance.now(),
    portReservation,
    // Others may serve any address, and have to be asked.
    isForeign: (address) => !installed.hasOthers && isForeign(getTcpip(), address),
    required,
    policy: policyOf(environment),
    ...largeThresholdOf(environment),
    trace:
      recorder === null ? null : (step, provider, socket, detail) => recorder.session(step, provider, socket, detail),
    count,
  });
  addStatusSource({
    connections: () => made.connections(),
    unavailable: () => made.startReason,
    unwatched: () => getTcpip().unwatched,
    peers: () => links()?.peers() ?? [],
    polling: () => {
      const polling = sharedMemory.links?.polling;
      return polling === undefined ? null : { fruitless: polling.fruitless / 1000, time: polling.time / 1000 };
    },
  });
  return made;
}

/** The peers of this event loop, after an attempt to read memory of each: what `doctor` tells of it. */
export function tryPeerMemory(): PeerStatus[] {
  return [...(links()?.peers(true) ?? [])];
}

/** Milliseconds; by then a first connect is over, and what opening costs is not its. */
const statusDelay = 25;

/** `sockets-direct status` can ask this event loop from then on. Short programs are spared. */
function openStatusLater(): void {
  scheduler.later(() => {
    try {
      const require = createRequire(import.meta.url);
      const { openStatusSocket } = require('./status/server.js') as typeof import('./status/server.js');
      openStatusSocket(process.env, () => JSON.stringify(status()));
    } catch {
      // Packed into one file, say, where there is nothing to load: the program must not notice.
    }
  }, statusDelay);
}

/** Peers take what was written as long as they read, but the process does not wait for them longer than this. */
function endWithProcess(provider: SharedMemoryProvider): void {
  const end = performance.now() + exitBudget;
  const turn = (): boolean => {
    let waiting = false;
    for (const link of provider.links?.all ?? []) {
      link.poll();
      if (link.hasWaiting) waiting = true;
    }
    loadPlatform().schedYield();
    return waiting;
  };
  instance?.endWithProcess(turn, () => performance.now() > end);
}

/** SOCKETS_DIRECT_CONNECT_BUDGET, for machines on which everything takes longer. What is no number of milliseconds is not heeded. */
function connectBudgetOf(environment: Readonly<Record<string, string | undefined>>, usual: number): number {
  const wanted = environment.SOCKETS_DIRECT_CONNECT_BUDGET ?? '';
  const milliseconds = Number(wanted);
  return /^\d+$/.test(wanted) && milliseconds >= 1 && milliseconds <= connectBudgetMax ? milliseconds : usual;
}

/** SOCKETS_DIRECT_RDMA_THRESHOLD: bytes, or `off`. What is neither is not heeded, and the provider decides. */
function largeThresholdOf(environment: Readonly<Record<string, string | undefined>>): { largeThreshold?: number } {
  const wanted = environment.SOCKETS_DIRECT_RDMA_THRESHOLD ?? '';
  if (wanted === 'off') return { largeThreshold: Number.POSITIVE_INFINITY };
  return /^\d{1,10}$/.test(wanted) ? { largeThreshold: Number(wanted) } : {};
}

function requiresSan(environment: Readonly<Record<string, string | undefined>>): boolean {
  const wanted = environment.SOCKETS_DIRECT_REQUIRE;
  return wanted !== undefined && wanted !== '' && wanted !== 'tcpip';
}

/** The user's rules, or null if there are none. With rules that cannot be understood nothing may leave TCP/IP. */
function policyOf(environment: Readonly<Record<string, string | undefined>>): Exclusion | null {
  const { SOCKETS_DIRECT_POLICY: file, SOCKETS_DIRECT_DENY: denied } = environment;
  if (!file && !denied) return null;
  const require = createRequire(import.meta.url);
  const { PolicyError, readPolicy } = require('./policy/index.js') as typeof import('./policy/index.js');
  try {
    const policy = readPolicy(environment);
    return (role, { address, port }) => (policy.denies(role, address, port) ? 'denied-by-policy' : null);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    complain(`${error.message}; every connection of this program stays on TCP/IP`);
    return () => 'policy-invalid';
  }
}

/** A provider is wrapped once, so that it stays the same one. */
function recordedBy(recorder: Recorder): (provider: SanServiceProvider) => SanServiceProvider {
  const wrapped = new WeakMap<SanServiceProvider, SanServiceProvider>();
  return (provider) => {
    const found = wrapped.get(provider) ?? recorder.wrap(provider);
    wrapped.set(provider, found);
    return found;
  };
}

const scheduler: Scheduler = {
  soon: (task) => {
    setImmediate(task);
  },
  next: (task) => {
    process.nextTick(task);
  },
  later: (task, milliseconds) => {
    const timer = setTimeout(task, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};

/** An address of the loopback network that hardly anybody else uses. Blocks of ports are locked there. */
const lockAddress = '127.83.68.1';

/**
 * The kernel keeps who has which block of ports, in the network namespace that matters, and forgets with the process. The
 * descriptor is given to node:dgram, which closes it with the event loop, also when a worker is terminated.
 */
function portReservation(): PortReservation {
  let platform: Platform;
  try {
    platform = loadPlatform();
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    // A provider of somebody else may work where the one of this package does not. Its ports are not held against others.
    return { reserve: () => ({ release: () => {} }), random: Math.random };
  }
  return {
    reserve: (port) => {
      const descriptor = platform.reservePort(lockAddress, port);
      if (descriptor === null) return null;
      const owner = outsideOfContexts(() => createSocket('udp4').bind({ fd: descriptor, exclusive: true }).unref());
      return { release: () => owner.close() };
    },
    random: Math.random,
  };
}

/** True for every address that is not of this host: no provider of ours serves those. */
function isForeign(tcpip: TcpipProvider, { address }: SOCKADDR): boolean {
  if (address.startsWith('127.') || address === '::1') return false;
  return !tcpip.isOwnAddress(address) || (isIPv6(address) && /^fe[89ab]/i.test(address));
}
