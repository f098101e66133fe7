/** The switch as the rest of the package sees it. */
export * from './face.js';
export { hold, release } from './liveness.js';
export { checkedListeners, type MovedConnection, type MovedListener } from './moved.js';
export type { PortReservation } from './ports.js';
export { StartFailure } from './provider-table.js';
export type { Scheduler } from './scheduler.js';
export type { SessionTrace } from './services.js';
export { Switch, type SwitchOptions } from './switch.js';
