/** The steps of a connection's life at which one side is killed, on either side, and what the other one may see then. */

import type { PlanName } from './account.js';
import type { Owner, Point } from './points.js';

export type Side = 'acceptor' | 'connector';
export const sides: readonly Side[] = ['acceptor', 'connector'];

/**
 * What the survivor may see. `nothing`: it has not been told of a connection. `TCP/IP`: it has fallen back and TCP/IP has
 * connected, be it because the kernel was still closing the sockets of the dead, or because the budget of the connect was
 * over before the victim had come to its step.
 */
export type Outcome = 'nothing' | 'ECONNREFUSED' | 'TCP/IP' | 'end' | 'ECONNRESET';

export interface Step {
  readonly name: string;
  /** Points of the victim, by side; rounds take them in turn. */
  readonly points: Readonly<Record<Side, readonly Point[]>>;
  readonly victimPlan: PlanName;
  readonly survivorPlan: PlanName;
  /** By the victim's side. */
  readonly outcomes: Readonly<Record<Side, readonly Outcome[]>>;
  /** A block is under way, so the victim does not know how much of it the survivor has. */
  readonly inBlock?: boolean;
}

const hello = 1;
const welcome = 2;

function before(owner: Owner, method: string, more: Partial<Point> = {}): Point {
  return { owner, method, phase: 'before', ...more };
}

function after(owner: Owner, method: string, more: Partial<Point> = {}): Point {
  return { owner, method, phase: 'after', ...more };
}

/** A different message each time: a point in the middle of a stream. */
function manyOf(point: Point): readonly Point[] {
  return [7, 40, 133, 271, 402].map((hit) => ({ ...point, hit }));
}

const firstReceived = before('ProviderConnection', 'receive');
const firstSent = after('PeerLink', 'commit');
const both = (points: readonly Point[]): Step['points'] => ({ acceptor: points, connector: points });
/** The server is dead, and TCP/IP is refused as well; or nobody has been told of the client that is dead. */
const unheard: Step['outcomes'] = { acceptor: ['ECONNREFUSED', 'TCP/IP'], connector: ['nothing'] };
const exchange = { victimPlan: 'exchange', survivorPlan: 'exchange' } as const;

export const steps: readonly Step[] = [
  {
    // The socket of the link is connected.
    name: 'link',
    points: {
      acceptor: [before('HandshakeChannel', 'receiveBare', { message: hello })],
      connector: [
        before('HandshakeChannel', 'send', { message: hello }),
        after('HandshakeChannel', 'send', { message: hello }),
      ],
    },
    ...exchange,
    outcomes: unheard,
  },
  {
    name: 'map',
    points: {
      acceptor: [after('HandshakeChannel', 'send', { message: welcome }), after('Platform', 'mapShared')],
      connector: [after('Platform', 'mapShared')],
    },
    ...exchange,
    outcomes: unheard,
  },
  {
    // Written by the connector, seen by the acceptor.
    name: 'request',
    points: { acceptor: [before('Links', 'connectRequest')], connector: [after('PeerLink', 'sendConnect')] },
    ...exchange,
    outcomes: unheard,
  },
  {
    // The condition function has said CF_ACCEPT; then the word of the request; then the record that tells it.
    name: 'accept',
    points: {
      acceptor: [
        before('Listener', 'remove'),
        before('PeerLink', 'begin', { within: 'accept' }),
        after('PeerLink', 'accept'),
      ],
      connector: [before('ProviderConnection', 'accepted')],
    },
    ...exchange,
    outcomes: unheard,
  },
  {
    name: 'negotiation',
    points: { acceptor: [firstReceived], connector: [before('PeerLink', 'commit'), firstSent] },
    ...exchange,
    // A negotiation message that is on the wire brings the connection about, whoever is dead then.
    outcomes: { acceptor: ['ECONNREFUSED'], connector: ['nothing', 'ECONNRESET', 'end'] },
  },
  {
    name: 'reply',
    points: { acceptor: [before('PeerLink', 'commit'), firstSent], connector: [firstReceived] },
    ...exchange,
    outcomes: { acceptor: ['ECONNREFUSED', 'ECONNRESET', 'end'], connector: ['ECONNRESET', 'end'] },
  },
  {
    name: 'message-out',
    points: both([...manyOf(before('PeerLink', 'commit')), ...manyOf(firstSent)]),
    victimPlan: 'flood',
    survivorPlan: 'listen slowly',
    outcomes: { acceptor: ['end'], connector: ['end'] },
  },
  {
    name: 'message-in',
    points: both(manyOf(firstReceived)),
    victimPlan: 'listen',
    survivorPlan: 'flood',
    outcomes: { acceptor: ['ECONNRESET'], connector: ['ECONNRESET'] },
  },
  {
    name: 'shutdown',
    points: both([before('Session', 'shutdown'), after('Session', 'shutdown')]),
    victimPlan: 'exchange',
    survivorPlan: 'listen',
    outcomes: { acceptor: ['end'], connector: ['end'] },
  },
  {
    name: 'shutdown-seen',
    points: both([before('SwitchConnection', 'onEnd')]),
    victimPlan: 'listen',
    survivorPlan: 'exchange',
    outcomes: { acceptor: ['end'], connector: ['end'] },
  },
  {
    name: 'close',
    points: both([before('ProviderConnection', 'close'), after('ProviderConnection', 'close')]),
    ...exchange,
    outcomes: { acceptor: ['end'], connector: ['end'] },
  },
];

/** With writes that go by RDMA: the blocks of either side. */
export const blockSteps: readonly Step[] = [
  {
    name: 'block-out',
    // It is offered; it has been read, and the next one is due.
    points: both([after('LargeSend', 'offer'), after('LargeSend', 'offer', { hit: 9 }), before('LargeSend', 'read')]),
    victimPlan: 'flood',
    survivorPlan: 'listen slowly',
    // What the victim has not given away is lost with it, as with TCP; the survivor may have been in the middle of it.
    outcomes: { acceptor: ['end', 'ECONNRESET'], connector: ['end', 'ECONNRESET'] },
    inBlock: true,
  },
  {
    name: 'block-in',
    points: both([
      after('LargeReceive', 'begin'),
      after('LargeReceive', 'pump'),
      after('LargeReceive', 'pump', { hit: 9 }),
    ]),
    victimPlan: 'listen',
    survivorPlan: 'flood',
    outcomes: { acceptor: ['ECONNRESET'], connector: ['ECONNRESET'] },
  },
];
