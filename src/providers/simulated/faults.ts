/**
 * What goes wrong, drawn from the seed or set by hand. Each fault that really happens is counted in the world's marks as
 * `fault: ...`, because a run that met no fault has shown nothing.
 */

import {
  errorName,
  WSAEADDRNOTAVAIL,
  WSAEMFILE,
  WSAENETDOWN,
  WSAENETUNREACH,
  WSAENOBUFS,
  WSAETIMEDOUT,
} from '../../spi/index.js';
import type { World } from './world.js';

/** Calls that may find no resources. The last is made by the provider: the switch has no handle left. */
export const faultyCalls = [
  'WSPSocket',
  'WSPBind',
  'WSPSetSockOpt',
  'WSPListen',
  'WSPEventSelect',
  'WSPConnect',
  'WSPAccept',
  'WSPSend',
  'WSPRecv',
  'WSPRegisterMemory',
  'WSPRegisterRdmaMemory',
  'WSPRdmaWrite',
  'WSPRdmaRead',
  'WSPAllocateReceiveMemory',
  'WSPGetSendBuffer',
  'WPUCreateSocketHandle',
] as const;
export type FaultyCall = (typeof faultyCalls)[number];

/** Odds are in [0, 1], for each opportunity; 0 is never. */
export interface FaultKnobs {
  /** A call fails with WSAENOBUFS, or WSAEMFILE where the documents list it. */
  readonly calls: Partial<Record<FaultyCall, number>>;
  /** A connect ends with one of `connectErrors` instead of reaching the peer, at once or by FD_CONNECT. */
  readonly connect: number;
  readonly connectErrors: readonly number[];
  /** A message, and all behind it, comes up to `lateMicroseconds` later. */
  readonly late: number;
  readonly lateMicroseconds: number;
  /** The event loop is told of a completion up to `withheldMicroseconds` later. */
  readonly withheld: number;
  readonly withheldMicroseconds: number;
  /** The receive buffers of an accepted connection reach the NIC up to `latePostMicroseconds` late (WSD-NEG-9). */
  readonly latePost: number;
  readonly latePostMicroseconds: number;
  /** The connector withdraws while the condition function is asked. */
  readonly withdrawal: number;
}

export const noFaults: FaultKnobs = {
  calls: {},
  connect: 0,
  connectErrors: [],
  late: 0,
  lateMicroseconds: 0,
  withheld: 0,
  withheldMicroseconds: 0,
  latePost: 0,
  latePostMicroseconds: 0,
  withdrawal: 0,
};

/** Outcomes of a connect that say nothing of TCP/IP: the only ones that may be invented (WSD-CON-15). */
export const harmlessConnectErrors = [WSAETIMEDOUT, WSAENETUNREACH, WSAENOBUFS, WSAENETDOWN, WSAEADDRNOTAVAIL] as const;

/** Calls that report a lack of descriptors as such. */
const descriptorCalls: readonly FaultyCall[] = ['WSPSocket', 'WSPAccept', 'WSPListen'];

/**
 * A random subset of the kinds of faults: swarm testing. With a higher `strength` the kinds that let connections live are
 * in it for sure, and likelier.
 */
export function drawFaults(world: World, strength = 1): FaultKnobs {
  const wanted = (): boolean => world.chance(0.5);
  const odds = (most: number): number => world.random() * most;
  const surely = (): boolean => world.chance(0.25 + 0.25 * strength);
  const likely = (most: number): number => Math.min(1, (0.2 * (strength - 1) + world.random()) * most);
  const calls: Partial<Record<FaultyCall, number>> = {};
  const messageOdds = wanted() ? 0.01 : 0.0005;
  for (const call of faultyCalls) {
    const perMessage = call === 'WSPSend' || call === 'WSPRecv' || call === 'WSPGetSendBuffer';
    if (world.chance(0.2)) calls[call] = odds(perMessage ? messageOdds : 0.1);
  }
  return {
    calls,
    connect: wanted() ? odds(0.2) : 0,
    connectErrors: harmlessConnectErrors.filter(wanted),
    late: surely() ? likely(0.3) : 0,
    lateMicroseconds: world.random() * (wanted() ? 500 : 100_000),
    withheld: surely() ? likely(0.3) : 0,
    withheldMicroseconds: world.random() * (wanted() ? 500 : 20_000),
    latePost: surely() ? likely(0.8) : 0,
    latePostMicroseconds: world.random() * (wanted() ? 100 : 10_000),
    withdrawal: wanted() ? odds(0.4) : 0,
  };
}

export class Faults {
  readonly #world: World;
  /** Calls of this provider that have failed by design. */
  readonly struck = new Set<FaultyCall>();
  readonly #next = new Map<FaultyCall | 'outcome', number[]>();
  knobs: FaultKnobs;

  constructor(world: World, knobs: FaultKnobs = noFaults) {
    this.#world = world;
    this.knobs = knobs;
  }

  /** By hand: the next such call fails with this error. Several wait in order; 0 lets one pass. */
  failNext(call: FaultyCall, ...errors: readonly number[]): void {
    this.#next.set(call, [...(this.#next.get(call) ?? []), ...errors]);
  }

  /** By hand: the next connect ends so. */
  nextConnect(...errors: readonly number[]): void {
    this.#next.set('outcome', [...(this.#next.get('outcome') ?? []), ...errors]);
  }

  /** 0, or the error with which this call is to fail. */
  call(name: FaultyCall): number {
    const planned = this.#next.get(name)?.shift();
    let error = planned ?? 0;
    if (planned === undefined && this.#world.chance(this.knobs.calls[name] ?? 0)) {
      error = descriptorCalls.includes(name) && this.#world.chance(0.5) ? WSAEMFILE : WSAENOBUFS;
    }
    if (error === 0) return 0;
    this.struck.add(name);
    this.#world.mark(`fault: ${name}`);
    return error;
  }

  /** 0, or how a connect ends instead of reaching anybody. */
  connectOutcome(): number {
    const planned = this.#next.get('outcome')?.shift();
    let error = planned ?? 0;
    const { connect, connectErrors } = this.knobs;
    if (planned === undefined && connectErrors.length > 0 && this.#world.chance(connect)) {
      error = connectErrors[this.#world.pick(connectErrors.length)]!;
    }
    if (error !== 0) this.#world.mark(`fault: connect ${errorName(error)}`);
    return error;
  }

  /** Microseconds that a message is late. */
  lateness(): number {
    return this.#delay(this.knobs.late, this.knobs.lateMicroseconds, 'fault: late delivery');
  }

  /** Microseconds for which a completion is withheld. */
  withholding(): number {
    return this.#delay(this.knobs.withheld, this.knobs.withheldMicroseconds, 'fault: withheld completion');
  }

  /** Microseconds until the first receive buffers of an accepted connection are in place. */
  postDelay(): number {
    return this.#delay(this.knobs.latePost, this.knobs.latePostMicroseconds, 'fault: late receive buffers');
  }

  #delay(odds: number, most: number, kind: string): number {
    if (!this.#world.chance(odds)) return 0;
    this.#world.mark(kind);
    return this.#world.random() * most;
  }

  /** True if the connector withdraws just now. */
  withdraws(): boolean {
    return this.#world.chance(this.knobs.withdrawal);
  }
}
