/** What a session is, for the process in which it goes on (WSD-DUP-33). It comes from another process, so it is checked. */

import { type LargeMethod, PAYLOAD_SIZE_MAX, POSTED_BUFFERS_MAX } from './negotiation.js';

export interface CreditsState {
  readonly available: number;
  readonly availableMax: number;
  readonly posted: number;
  readonly owed: number;
  readonly held: number;
  readonly owedForData: boolean;
  readonly reserve: number;
  readonly peerReserve: number;
  readonly forAnswers: number;
}

export interface UrgentState {
  /** Position in the outgoing stream behind the urgent byte. */
  readonly urgentEnd: number;
  /** Indices of the unread chunks that end with an urgent byte, ascending. */
  readonly urgent: readonly number[];
}

export interface DeliveryState {
  /** Chunks that have arrived and that the program has not taken. */
  readonly unread: readonly Uint8Array[];
  /** Indices of those that came by RDMA and took no credit, ascending. */
  readonly creditless: readonly number[];
  readonly bytesReceived: number;
}

export interface EndsState {
  /** The program has ended its sending. */
  readonly writesEnded: boolean;
  readonly finishSent: boolean;
  readonly finishReceived: boolean;
  /** The program has been told the end, or the error. */
  readonly ended: boolean;
  /** Winsock error with which the connection was lost, or 0. */
  readonly error: number;
}

export interface SessionFlags {
  readonly payloadMax: number;
  /** How the peer takes large sends; null: not at all. */
  readonly largeMethod: LargeMethod | null;
  readonly sequenceReceived: number;
  /** There is no connection any more, only what has arrived before its end. */
  readonly dead: boolean;
}

export interface SessionState extends SessionFlags, EndsState, UrgentState, DeliveryState {
  readonly credits: CreditsState;
  /** Sequence numbers of the last message sent, and of the last one with data. */
  readonly sequence: number;
  readonly dataSequence: number;
  readonly bytesSent: number;
  /** The peer waits for leave to move as well. */
  readonly suspendAsked: boolean;
  /** Bytes that are written and not sent. */
  readonly unsent: Uint8Array;
}

const creditNumbers = [
  'available',
  'availableMax',
  'posted',
  'owed',
  'held',
  'reserve',
  'peerReserve',
  'forAnswers',
] as const;
const sequences = ['sequence', 'dataSequence', 'sequenceReceived'] as const;
const positions = ['bytesReceived', 'bytesSent', 'urgentEnd', 'error'] as const;
const flags = ['writesEnded', 'finishSent', 'finishReceived', 'ended', 'dead', 'suspendAsked'] as const;
const methods: readonly unknown[] = [null, 'read', 'write'];

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isBelow(value: unknown, limit: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= limit;
}

/** The value, if it can be the state of a session; else null. */
export function checkedState(value: unknown): SessionState | null {
  if (!isObject(value) || !isObject(value.credits)) return null;
  const { credits, unread, urgent, creditless } = value;
  // Who has twice the buffers in credits as there can be would have broken the protocol already.
  if (!creditNumbers.every((name) => isBelow(credits[name], POSTED_BUFFERS_MAX))) return null;
  if (typeof credits.owedForData !== 'boolean') return null;
  if ((credits.owed as number) + (credits.held as number) > (credits.posted as number)) return null;
  if ((credits.available as number) > (credits.availableMax as number)) return null;
  if (!isBelow(value.payloadMax, PAYLOAD_SIZE_MAX) || value.payloadMax === 0) return null;
  if (
    !sequences.every(
      (name) => Number.isInteger(value[name]) && (value[name] as number) === ((value[name] as number) | 0),
    )
  ) {
    return null;
  }
  if (!positions.every((name) => isBelow(value[name], Number.MAX_SAFE_INTEGER))) return null;
  if (!flags.every((name) => typeof value[name] === 'boolean')) return null;
  if (!(value.unsent instanceof Uint8Array)) return null;
  if (!Array.isArray(unread) || !unread.every((chunk) => chunk instanceof Uint8Array && chunk.length > 0)) return null;
  const ascends = (list: unknown): boolean =>
    Array.isArray(list) &&
    list.every((index, i) => isBelow(index, unread.length - 1) && (i === 0 || index > list[i - 1]));
  if (!ascends(urgent) || !ascends(creditless) || !methods.includes(value.largeMethod)) return null;
  return value as unknown as SessionState;
}
