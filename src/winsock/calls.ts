/** All calls on sockets. Each checks what the program gives, and hands it to the record behind the socket. */

export * from './connection-calls.js';
export * from './data-calls.js';
export * from './event-calls.js';
export * from './socket-calls.js';
