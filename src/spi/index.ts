/** The service provider interface of Windows Sockets Direct: types, constants, errors. No behaviour beyond event objects. */
export * from './constants.js';
export * from './errors.js';
export * from './event.js';
export * from './extensions.js';
export * from './procedures.js';
export * from './structures.js';
export * from './tcpip-info.js';
export * from './upcalls.js';
