/** What a session consists of, taken out of one process and put into another (WSD-DUP-33). */

import type { Credits } from './credits.js';
import type { Delivery } from './delivery.js';
import type { Ends } from './ends.js';
import type { MessageWriter } from './message-writer.js';
import type { SendQueue } from './send-queue.js';
import type { SessionFlags, SessionState } from './state.js';
import type { Suspension } from './suspension.js';
import type { UrgentMarks } from './urgent.js';

export interface SessionParts {
  readonly credits: Credits;
  readonly writer: MessageWriter;
  readonly queue: SendQueue;
  readonly delivery: Delivery;
  readonly urgent: UrgentMarks;
  readonly suspension: Suspension;
  readonly ends: Ends;
}

/** Who waits for what is in the queue is the caller's to tell. */
export function takeParts(parts: SessionParts, flags: SessionFlags): SessionState {
  const { credits, writer, queue, delivery, urgent, suspension, ends } = parts;
  const { unread, creditless } = delivery.take();
  return {
    ...flags,
    ...ends.take(),
    ...urgent.state(unread),
    credits: credits.state,
    sequence: writer.sequence,
    dataSequence: writer.dataSequence,
    bytesReceived: delivery.bytesReceived,
    bytesSent: queue.sent,
    suspendAsked: suspension.peerAsked,
    unsent: queue.content(),
    unread,
    creditless,
  };
}

export function restoreParts(parts: SessionParts, state: SessionState): void {
  const { credits, writer, queue, delivery, urgent, suspension, ends } = parts;
  ends.restore(state);
  credits.restore(state.credits);
  writer.sequence = state.sequence;
  writer.dataSequence = state.dataSequence;
  queue.sent = state.bytesSent;
  if (state.unsent.length > 0) queue.append(state.unsent, state.payloadMax);
  urgent.restore(state, delivery.restore(state));
  if (state.suspendAsked) suspension.restore();
}
