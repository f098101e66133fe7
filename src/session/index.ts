/** The session protocol: pure state machines, given their functions. */
export * from './face.js';
export * from './header.js';
export * from './negotiation.js';
export * from './session.js';
export { checkedState, type SessionState } from './state.js';
export { URGENT_MAX } from './urgent.js';
