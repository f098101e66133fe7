/** One run: hosts, connections between them, and what has to hold at its end. */

import { type FaultKnobs, Faults, type FaultyCall } from '../src/providers/simulated/faults.js';
import type { SimulatedOptions } from '../src/providers/simulated/settings.js';
import type { Process, World } from '../src/providers/simulated/world.js';
import { AF_INET, CF_ACCEPT, CF_DEFER, CF_REJECT, type SanServiceProvider, type SOCKADDR } from '../src/spi/index.js';
import { Attempt, type Run } from './attempt.js';
import { check, fail } from './failure.js';
import type { ProgramEnd } from './program.js';
import { type Host, type LateProvider, type ProgramSocket, Rig } from './rig.js';
import { SpiCheck } from './spi-check.js';
import type { SimulatedTcpHandle } from './tcpip.js';

/** Wraps a provider with something that is wrong. */
export type Plant = (provider: SanServiceProvider, world: World) => SanServiceProvider;

/** Microseconds of virtual time after which a run hangs: longer than any time limit of the switch. */
const timeLimit = 300_000_000;
const stepsMax = 2_000_000;

/** Calls whose failure ends a connection that no program has ended. */
const lossCalls: readonly FaultyCall[] = [
  'WSPSend',
  'WSPRecv',
  'WSPGetSendBuffer',
  'WSPRegisterMemory',
  'WSPAllocateReceiveMemory',
  'WSPRdmaRead',
  'WSPRdmaWrite',
];

export interface ListenerPolicy {
  /** Odds of CF_REJECT and CF_DEFER. */
  readonly reject: number;
  readonly defer: number;
  /** Most microseconds for which a deferred request waits. */
  readonly deferMicroseconds: number;
  readonly sanBacklog: number;
  /** Odds that the program closes the listener from inside the condition function. */
  readonly unlisten: number;
  /** What else the program does in there. */
  readonly also?: () => void;
}

export const acceptAll: ListenerPolicy = { reject: 0, defer: 0, deferMicroseconds: 0, sanBacklog: 64, unlisten: 0 };

/** Calls without which a provider that has been installed does not listen. */
const setupCalls: readonly FaultyCall[] = [
  'WSPSocket',
  'WSPBind',
  'WSPSetSockOpt',
  'WSPListen',
  'WSPEventSelect',
  'WPUCreateSocketHandle',
];

const nobody: SOCKADDR = { sa_family: AF_INET, address: '', port: 0 };

export class Simulation implements Run {
  readonly rig: Rig;
  readonly world: World;
  readonly attempts: Attempt[] = [];
  readonly listeners = new Set<ProgramSocket>();
  readonly servers: Host[] = [];
  readonly movers: Host[] = [];
  /** Called for each end of a connection, once it is there. */
  onEnd: ((end: ProgramEnd) => void) | null = null;
  /** How much stronger than usual the faults of this run are. */
  readonly strength: number;
  readonly #checks = new Map<Host, SpiCheck>();
  readonly #callers = new Map<string, Attempt>();
  readonly #plant: Plant | null;
  #starting: Attempt | null = null;
  steps = 0;
  /** The process that may die inside a task, with the odds for each call. */
  dies: Process | null = null;
  deathOdds = 0;
  /** The end of the run: nobody dies any more. */
  #calm = false;
  /** What is to be done after so many steps. */
  readonly #plans = new Map<number, () => void>();
  #marksSeen = 0;
  #refusals = 0;

  constructor(seed: number, strength: number, plant: Plant | null, trace: boolean) {
    this.rig = new Rig(seed);
    this.world = this.rig.world;
    this.strength = strength;
    this.#plant = plant;
    if (trace) this.world.trace = [];
    this.world.onStep = () => this.#afterStep();
  }

  note(what: string): void {
    this.world.note(what);
  }

  /** Plans something for the moment after the world's step of that number. */
  afterStep(number: number, action: () => void): void {
    this.#plans.set(number, action);
  }

  #afterStep(): void {
    this.steps++;
    if (this.steps > stepsMax) fail(`no end after ${stepsMax} steps`);
    for (const [host, spi] of this.#checks) {
      if (!host.process.isAlive) continue;
      const sockets = host.providers.reduce((sum, provider) => sum + provider.sockets.size, 0);
      const { handles } = spi;
      check(handles === sockets, `${handles} handles for ${sockets} SAN sockets`);
    }
    const { marks } = this.world;
    if (marks.size !== this.#marksSeen) {
      this.#marksSeen = marks.size;
      for (const kind of marks.keys()) if (kind.startsWith('violation: ')) fail(kind);
    }
    this.#plans.get(this.steps)?.();
  }

  excuse(hosts: readonly Host[]): string | null {
    const dead = hosts.find(({ process }) => !process.isAlive);
    return dead === undefined ? this.lostResources(hosts) : `${dead.process.name} was killed`;
  }

  /** A call that has failed and with it a connection, or null. */
  lostResources(hosts: readonly Host[]): FaultyCall | null {
    for (const { faults } of hosts.flatMap(({ providers }) => providers)) {
      const call = lossCalls.find((name) => faults.struck.has(name));
      if (call !== undefined) return call;
    }
    return null;
  }

  mayEndNegotiations(): boolean {
    return ['program: unlisten', 'program: exits', 'process-stopped'].some((kind) => this.world.marks.has(kind));
  }

  mayRefuse(): boolean {
    return this.#refusals > 0 || this.world.marks.has('backlog full');
  }

  // ---- building

  /** A process with a NIC for each of the options; the providers of those in `later` are not installed at first. */
  host(
    nics: readonly Partial<SimulatedOptions>[],
    knobs: FaultKnobs | null,
    later: readonly Partial<SimulatedOptions>[] = [],
  ): Host {
    const withFaults = (nic: Partial<SimulatedOptions>): Partial<SimulatedOptions> => ({
      ...nic,
      faults: knobs === null ? null : new Faults(this.world, knobs),
    });
    const spi = new SpiCheck(this.world, `process ${this.rig.hosts.length + 1}`, {
      between: () => this.#between(host),
      bound: (name) => this.#bound(name),
      accepted: (caller) => this.#callers.get(text(caller))?.acceptBelow(),
      connectEnded: (caller, error) => {
        const attempt = this.#callers.get(text(caller));
        if (attempt !== undefined) attempt.endedBelow = error;
      },
    });
    const host: Host = this.rig.host({
      providers: nics.map(withFaults),
      later: later.map(withFaults),
      wrap: (provider) => spi.wrap(this.#plant === null ? provider : this.#plant(provider, this.world)),
    });
    this.#checks.set(host, spi);
    return host;
  }

  /** A process may die in the middle of what it does, before or after any call of its provider. */
  #between(host: Host): void {
    // What still runs is only the unwinding of the task in which it died.
    if (!host.process.isAlive) host.process.die();
    if (this.#calm || host.process !== this.dies || !this.world.chance(this.deathOdds)) return;
    this.world.mark('fault: killed inside a task');
    host.process.die();
  }

  #bound(name: SOCKADDR): void {
    const starting = this.#starting;
    if (starting === null) return;
    starting.caller = text(name);
    this.#callers.set(starting.caller, starting);
  }

  listen(host: Host, port: number, policy: ListenerPolicy, address = host.address): ProgramSocket {
    const socket = host.socket(host.name(port, address));
    const { world } = this;
    socket.tcpip.handle.onconnection = (_status, client) => this.#arrived(client as SimulatedTcpHandle);
    const status = socket.switchSocket.listen(
      64,
      {
        condition: (caller) => {
          const attempt = this.#callers.get(text(caller));
          check(attempt !== undefined, `a request of ${text(caller)}, whom nobody knows`);
          attempt.asked++;
          check(this.listeners.has(socket), `${attempt.name}: the condition function of a closed listener`);
          policy.also?.();
          if (world.chance(policy.unlisten)) {
            world.mark('program: unlisten in the condition function');
            this.unlisten(socket);
          }
          if (world.chance(policy.defer)) {
            world.mark('program: CF_DEFER');
            const asked = attempt.asked;
            host.process.schedule(
              () => this.#acceptDeferred(socket, attempt, asked),
              1 + world.pick(policy.deferMicroseconds),
            );
            return CF_DEFER;
          }
          if (!world.chance(policy.reject)) return CF_ACCEPT;
          this.#refusals++;
          world.mark('program: CF_REJECT');
          return CF_REJECT;
        },
        accepted: (connection) => {
          check(this.listeners.has(socket), 'a connection is accepted by a listener that is closed');
          const attempt = this.#callers.get(text(connection.peerAddress));
          check(attempt !== undefined, `a connection of ${text(connection.peerAddress)}, whom nobody knows`);
          this.onEnd?.(attempt.accepted(host, connection));
        },
      },
      policy.sanBacklog,
    );
    check(status === 0, `listen returned ${status}`);
    this.listeners.add(socket);
    if (!this.servers.includes(host)) this.servers.push(host);
    return socket;
  }

  /** WSD-ACC-10: a request that still waits is asked about again. */
  #acceptDeferred(socket: ProgramSocket, attempt: Attempt, asked: number): void {
    const waits = (): boolean =>
      socket.host.providers.some(({ sockets }) =>
        [...sockets].some(({ listener }) => text(listener?.first?.caller ?? nobody) === attempt.caller),
      );
    const waiting = waits() && attempt.asked === asked;
    socket.switchSocket.acceptDeferred();
    // It may have been withdrawn, or its listener closed, while another one was asked about.
    check(!waiting || !waits() || attempt.asked > asked, `${attempt.name}: deferred, and not asked about again`);
  }

  unlisten(socket: ProgramSocket): void {
    if (!this.listeners.delete(socket) || !socket.host.process.isAlive) return;
    this.world.mark('program: unlisten');
    socket.close();
  }

  /**
   * The program installs a provider: from then on it listens for every socket that listens at the wildcard (WSD-REG-9).
   * False: a fault has kept it from that.
   */
  install(host: Host, { nic, entry }: LateProvider): boolean {
    this.world.mark('program: installs a provider');
    const before = this.#setupFaults();
    host.catalog.install(entry);
    if (this.#setupFaults() > before) return false;
    for (const listener of this.listeners) {
      if (listener.host !== host) continue;
      const { address, port } = listener.tcpip.handle.local!;
      if (address !== '0.0.0.0') continue;
      const found = [...nic.sockets].some(({ local, listener }) => listener !== null && local?.port === port);
      check(found, `${nic.name} has arrived, and does not listen at port ${port}`);
    }
    return true;
  }

  /** Calls with which a provider is started and listens, that have failed by design. */
  #setupFaults(): number {
    return setupCalls.reduce((sum, call) => sum + (this.world.marks.get(`fault: ${call}`) ?? 0), 0);
  }

  /** The program removes a provider: nobody listens on it any more, and its connections go on (WSD-REG-11). */
  remove(host: Host, { nic, entry }: LateProvider): void {
    this.world.mark('program: removes a provider');
    const established = (): number => [...nic.sockets].filter(({ connection }) => connection !== null).length;
    const before = established();
    check(host.catalog.remove(entry.protocolInfo.ProviderId), `${nic.name} is not installed`);
    const listening = [...nic.sockets].some(({ listener }) => listener !== null);
    check(!listening, `${nic.name} has been removed, and listens`);
    check(established() === before, `${nic.name} has been removed, and its connections with it`);
  }

  #arrived(handle: SimulatedTcpHandle): void {
    const attempt = this.attempts.find(({ socket }) => socket.tcpip.handle === handle.peer);
    check(attempt !== undefined || handle.ended, 'TCP/IP brings a connection of nobody');
    attempt?.arrived(handle);
    this.#arrivals.push(handle);
  }

  readonly #arrivals: SimulatedTcpHandle[] = [];

  connect(host: Host, remote: SOCKADDR): Attempt {
    const attempt = new Attempt(this, this.attempts.length + 1, host);
    this.attempts.push(attempt);
    attempt.onConnected = (end) => this.onEnd?.(end);
    this.note(`${attempt.name} begins`);
    this.#starting = attempt;
    try {
      attempt.start(remote);
    } finally {
      this.#starting = null;
    }
    return attempt;
  }

  get ends(): ProgramEnd[] {
    return this.attempts
      .flatMap(({ client, server }) => [client, server])
      .filter((end): end is ProgramEnd => end !== null);
  }

  /** What has become of the connections, for the report. */
  get tally(): Record<string, number> {
    const { attempts, ends } = this;
    return {
      connects: attempts.length,
      'on the SAN': attempts.filter(({ outcome }) => outcome === 'connected').length,
      'over TCP/IP': attempts.filter(({ outcome }) => outcome === 'fallback').length,
      refused: attempts.filter(({ outcome }) => outcome === 'failed').length,
      'ends in order': ends.filter(({ ended }) => ended).length,
      'ends by an error': ends.filter(({ error }) => error !== 0).length,
      bytes: ends.reduce((sum, { incoming }) => sum + incoming.received, 0),
    };
  }

  // ---- the end of a run

  /** Runs until nothing is left to happen. */
  settle(): void {
    if (!this.world.runOut(timeLimit)) fail('no end within five minutes of virtual time');
  }

  /** Every program reads all there is and ends its sending: then every connection has to end, with all its bytes. */
  drain(): void {
    this.#calm = true;
    for (const host of this.rig.hosts) if (host.process.isAlive && host.process.isBlocked) host.process.resume();
    for (;;) {
      // Ends may still come into being.
      const before = this.ends.length;
      let onTheWay = false;
      for (const end of this.ends) {
        if (end.closed || !end.process.isAlive) continue;
        end.calm = true;
        end.process.schedule(() => {
          if (end.inTransit) onTheWay = true;
          end.read();
          if (!end.out.finished) end.finish();
        }, 1);
      }
      this.settle();
      if (this.ends.length === before && !onTheWay) break;
    }
    for (const attempt of this.attempts) if (attempt.missing !== null) fail(attempt.missing);
  }

  /** Everybody closes everything: nothing may be left. */
  close(): void {
    for (const attempt of this.attempts) {
      for (const end of [attempt.client, attempt.server]) {
        if (end?.process.isAlive === true) end.process.schedule(() => end.close(), 1);
        for (const [host, former] of end?.formers ?? []) host.process.schedule(() => former.closeFormer(), 1);
      }
      if (attempt.host.process.isAlive) attempt.host.process.schedule(() => attempt.socket.close(), 2);
    }
    for (const socket of [...this.listeners]) this.unlisten(socket);
    this.settle();
    for (const handle of this.#arrivals) handle.close();
    for (const attempt of this.attempts) if (attempt.missing !== null) fail(attempt.missing);
    for (const host of this.rig.hosts) if (host.process.isAlive) this.#checkLeft(host);
  }

  #checkLeft(host: Host): void {
    const { handles, operations, registrations } = this.#checks.get(host)!.outstanding;
    check(operations === 0, `${operations} operations have no end`);
    check(handles === 0, `${handles} handles are left`);
    check(registrations === 0, `${registrations} sockets have registered memory left`);
    for (const provider of host.providers)
      check(provider.sockets.size === 0, `${provider.sockets.size} SAN sockets are left`);
    const { connections, companions, ports } = host.switch.usage;
    check(ports === 0, `${ports} ports are left`);
    check(connections === 0 && companions === 0, `${connections} connections and ${companions} companions are left`);
    const removed = host.switch.providers().filter(({ state }) => state === 'removed');
    check(removed.length === 0, `${removed.length} providers that were removed have not been cleaned up`);
    check(host.switch.cleanup(), 'the switch has connections or companions left');
    const { started } = this.#checks.get(host)!;
    check(started === 0, `${started} providers have not been cleaned up`);
    check(host.reservedPorts.size === 0 || this.#sharesAddress(host), 'ports are left');
    check(host.tcpip.openHandles === 0, `${host.tcpip.openHandles} TCP/IP sockets are left`);
  }

  /** A killed process of the same address keeps its ports in this model. */
  #sharesAddress(host: Host): boolean {
    return this.rig.hosts.some((other) => other !== host && other.address === host.address);
  }
}

function text({ address, port }: SOCKADDR): string {
  return `${address}:${port}`;
}
