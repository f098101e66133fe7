/**
 * A switch for each process of a simulated world, with the program's side of it: what tests of the switch and the
 * simulation itself are built from.
 */

import { Catalog } from '../src/catalog/catalog.js';
import type { Reason } from '../src/diagnostics/reasons.js';
import { SimulatedProvider } from '../src/providers/simulated/provider.js';
import type { SimulatedOptions } from '../src/providers/simulated/settings.js';
import { type Process, ProcessKilled, World } from '../src/providers/simulated/world.js';
import type { TcpipSocket } from '../src/providers/tcpip/index.js';
import { AF_INET, AF_INET6, CF_ACCEPT, type SanServiceProvider, type SOCKADDR } from '../src/spi/index.js';
import { type SanConnection, Switch, type SwitchSocket } from '../src/switch/index.js';
import { type SimulatedTcpHandle, SimulatedTcpip } from './tcpip.js';

export interface HostOptions {
  /** Of the process and of its provider's NIC, with the bits of the subnet; `10.1.0.1/24` style. */
  readonly address: string;
  /** Options of its simulated providers. Default: one with the host's address. */
  readonly providers: readonly Partial<SimulatedOptions>[];
  /** Of more, which are not installed at first; each has a name of its own. */
  readonly later: readonly Partial<SimulatedOptions>[];
  /** Instead of the simulated providers. */
  readonly catalog: readonly SanServiceProvider[] | Reason | null;
  /** Wraps each provider, for example in a recorder. */
  readonly wrap: (provider: SanServiceProvider) => SanServiceProvider;
  readonly required: boolean;
}

export class Rig {
  readonly world: World;
  readonly hosts: Host[] = [];

  constructor(seed: number) {
    this.world = new World(seed);
  }

  /** A process with a switch. Without options the hosts are 10.1.0.1, 10.1.0.2 and so on, of one SAN. */
  host(options: Partial<HostOptions> = {}): Host {
    const host = new Host(this, this.hosts.length + 1, options);
    this.hosts.push(host);
    return host;
  }

  until(condition: () => boolean, limitMicroseconds?: number): boolean {
    return this.world.runUntil(condition, limitMicroseconds);
  }

  /** Runs until nothing is left to happen; false if that takes more than ten minutes of virtual time. */
  settle(): boolean {
    return this.world.runOut();
  }
}

/** A provider that a program installs and removes. */
export interface LateProvider {
  readonly nic: SimulatedProvider;
  /** What the catalog has of it. */
  readonly entry: SanServiceProvider;
}

/** Blocks of local ports that somebody holds, by host. */
const portsPlace = 'reserved ports';

export class Host {
  readonly process: Process;
  /** Without the bits of the subnet. */
  readonly address: string;
  readonly tcpip: SimulatedTcpip;
  /** Those that are installed and those that may be. */
  readonly providers: readonly SimulatedProvider[];
  readonly later: readonly LateProvider[];
  readonly catalog: Catalog;
  readonly switch: Switch;
  /** Decisions of the switch, by reason. */
  readonly counts = new Map<Reason, number>();
  /** Steps of sessions. */
  readonly steps: string[] = [];

  constructor(
    readonly rig: Rig,
    number: number,
    options: Partial<HostOptions>,
  ) {
    const { world } = rig;
    const address = options.address ?? `10.1.0.${number}/24`;
    this.address = address.split('/')[0] ?? address;
    this.process = world.process(`process ${number}`);
    const { providers = [{}], later = [] } = options;
    const nics = [...providers, ...later].flatMap(({ addresses }) => addresses ?? [address]);
    this.tcpip = new SimulatedTcpip(this.process, [...new Set([address, ...nics].map((nic) => nic.split('/')[0]!))]);
    const make = (one: Partial<SimulatedOptions>) =>
      new SimulatedProvider(this.process, { addresses: [address], ...one });
    const builtIn = providers.map(make);
    const wrap = options.wrap ?? ((provider: SanServiceProvider) => provider);
    this.later = later.map((one, i) => {
      const nic = make(one);
      return { nic, entry: withGuid(wrap(nic), i + 1) };
    });
    this.providers = [...builtIn, ...this.later.map(({ nic }) => nic)];
    this.catalog = new Catalog('', (message) => {
      throw new Error(message);
    });
    const given = options.catalog ?? builtIn;
    if (typeof given !== 'string') this.catalog.builtIn = given.map(wrap);
    const reserved = world.place(`${portsPlace} ${this.address}`, () => new Set<number>());
    this.switch = new Switch({
      tcpip: this.tcpip,
      providers: () => (typeof given === 'string' ? given : this.catalog.providers()),
      watchProviders: (changed) => this.catalog.watch(changed),
      startReason: (_provider, { cause }) => {
        if (cause instanceof ProcessKilled) throw cause;
        return 'no-provider';
      },
      // The end of a process is thrown through its provider.
      isOwn: () => true,
      scheduler: this.process.scheduler,
      now: () => world.now() / 1000,
      portReservation: () => ({
        reserve: (port) => {
          if (reserved.has(port)) return null;
          reserved.add(port);
          return { release: () => reserved.delete(port) };
        },
        random: world.random,
      }),
      isForeign: () => false,
      required: options.required ?? false,
      trace: (step, _provider, _socket, detail) => {
        this.steps.push(`${step} ${detail}`.trim());
        world.note(`${this.process.name}: ${step} ${detail}`);
      },
      count: (reason) => this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1),
    });
  }

  /** Blocks of ports that processes of this host hold. */
  get reservedPorts(): ReadonlySet<number> {
    return this.rig.world.place(`${portsPlace} ${this.address}`, () => new Set<number>());
  }

  /**
   * The program calls process.exit, in a task of its own: its event loop turns no more, and for up to a second its
   * connections send what was written. Then the process is gone.
   */
  exit(): void {
    const { world } = this.rig;
    const end = world.now() + 1_000_000;
    this.process.stop('program: exits');
    const turn = (): boolean => {
      for (const { sockets } of this.providers) for (const { connection } of sockets) connection?.poll();
      world.step();
      return false;
    };
    this.switch.endWithProcess(turn, () => {
      if (world.now() <= end) return false;
      world.mark('program: exit took too long');
      return true;
    });
    this.process.die('program: exit');
  }

  name(port: number, address = this.address): SOCKADDR {
    return { sa_family: address.includes(':') ? AF_INET6 : AF_INET, address, port };
  }

  /** A socket of the program, bound to nothing unless an address is given. */
  socket(bound: SOCKADDR | null = null): ProgramSocket {
    const tcpip = this.tcpip.open();
    if (bound !== null) tcpip.handle.bind(bound.address, bound.port);
    return new ProgramSocket(this, tcpip, this.switch.openSocket(tcpip));
  }

  /** A listening socket, at the host's address unless told otherwise. */
  listen(port: number, options: Partial<ListenOptions> = {}): Listening {
    return new Listening(this.socket(this.name(port, options.address ?? this.address)), options);
  }

  /** A connect to `remote`, from a socket that is bound to nothing unless told otherwise. */
  connect(remote: SOCKADDR, bound: SOCKADDR | null = null): Connecting {
    return new Connecting(this.socket(bound), remote);
  }
}

export class ProgramSocket {
  constructor(
    readonly host: Host,
    readonly tcpip: TcpipSocket & { readonly handle: SimulatedTcpHandle },
    readonly switchSocket: SwitchSocket,
  ) {}

  close(): void {
    this.switchSocket.close();
    this.tcpip.handle.close();
  }
}

export interface ListenOptions {
  readonly address: string;
  readonly backlog: number;
  readonly sanBacklog: number;
  /** Verdict on each request. Default: CF_ACCEPT. */
  readonly condition: (caller: SOCKADDR, callee: SOCKADDR) => number;
  /** Told of each SAN connection instead of it being put into `connections`. */
  readonly accepted: (connection: SanConnection) => void;
}

/** A listening socket of a program, with what has come to it. */
export class Listening {
  /** 0, or a negative errno of libuv. */
  readonly status: number;
  /** SAN connections, in order of acceptance. */
  readonly connections: Endpoint[] = [];
  /** TCP/IP connections. */
  readonly arrivals: SimulatedTcpHandle[] = [];
  /** Callers that the condition function was asked about. */
  readonly asked: SOCKADDR[] = [];

  constructor(
    readonly socket: ProgramSocket,
    { backlog = 128, sanBacklog, condition, accepted }: Partial<ListenOptions>,
  ) {
    socket.tcpip.handle.onconnection = (_status, client) => this.arrivals.push(client as SimulatedTcpHandle);
    this.status = socket.switchSocket.listen(
      backlog,
      {
        condition: (caller, callee) => {
          this.asked.push(caller);
          return condition?.(caller, callee) ?? CF_ACCEPT;
        },
        accepted: accepted ?? ((connection) => this.connections.push(new Endpoint(connection))),
      },
      sanBacklog,
    );
  }

  get reason(): Reason | null {
    return this.socket.switchSocket.reason;
  }

  close(): void {
    this.socket.close();
  }
}

/** A connect of a program, with its outcome. */
export class Connecting {
  /** How it ended; null while it goes on. `fallback` is followed by TCP/IP's own end in `tcpStatus`. */
  outcome: 'connected' | 'failed' | 'fallback' | null = null;
  /** Calls of the three outcomes together: never more than one. */
  outcomes = 0;
  connection: Endpoint | null = null;
  /** Of a connect that failed, as a Winsock error. */
  error = 0;
  reason: Reason | null = null;
  /** TCP/IP's result after a fallback: 0, or a negative errno of libuv; null while it goes on. */
  tcpStatus: number | null = null;

  constructor(
    readonly socket: ProgramSocket,
    remote: SOCKADDR,
  ) {
    const end = (outcome: 'connected' | 'failed' | 'fallback', reason: Reason | null): void => {
      this.outcomes++;
      this.outcome ??= outcome;
      this.reason = reason;
    };
    socket.tcpip.request = {
      oncomplete: (status) => {
        this.tcpStatus = status;
      },
    };
    socket.switchSocket.connect(remote, {
      connected: (connection) => {
        this.connection = new Endpoint(connection);
        end('connected', socket.switchSocket.reason);
      },
      failed: (wsaError, reason) => {
        this.error = wsaError;
        end('failed', reason);
      },
      fallback: (reason, status) => {
        end('fallback', reason);
        if (status !== 0) this.tcpStatus = status;
      },
    });
  }

  /** The SAN's or TCP/IP's result is there. */
  get isSettled(): boolean {
    return this.outcome !== null && (this.outcome !== 'fallback' || this.tcpStatus !== null);
  }

  /** The TCP/IP socket, connected after a fallback. */
  get handle(): SimulatedTcpHandle {
    return this.socket.tcpip.handle;
  }

  close(): void {
    this.socket.close();
    this.connection?.connection.close();
  }
}

/** A program's end of a SAN connection: collects what arrives. */
export class Endpoint {
  readonly chunks: Buffer[] = [];
  ended = false;
  /** Winsock error that ended the connection; 0 while there is none. */
  error = 0;
  /** Results of writes that were not taken at once, and of shutdowns, in order of their callbacks. */
  readonly results: number[] = [];

  constructor(readonly connection: SanConnection) {
    connection.events = {
      onData: (chunk) => this.chunks.push(chunk),
      onEnd: () => {
        this.ended = true;
      },
      onError: (wsaError) => {
        this.error = wsaError;
      },
    };
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  read(): this {
    this.connection.readStart();
    return this;
  }

  /** True if the write was taken at once; else its result comes into `results`. */
  write(data: string | Uint8Array): boolean {
    return this.connection.write(Buffer.from(data), (wsaError) => this.results.push(wsaError));
  }

  end(): void {
    this.connection.shutdown((wsaError) => this.results.push(wsaError));
  }
}

/** The same provider with a ProviderId of its own: no two entries of a catalog may have the same. */
function withGuid(provider: SanServiceProvider, number: number): SanServiceProvider {
  const ProviderId = `4E0B8D21-6C57-4A93-B1E8-${String(number).padStart(12, '0')}`;
  return { ...provider, protocolInfo: { ...provider.protocolInfo, ProviderId } };
}
