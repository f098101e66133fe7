export { type ConnectionInfo, connectionInfo, rememberOff } from './connection-info.js';
export { type InstallOptions, installNet, type SocketSwitch } from './install.js';
export { testedMajors } from './internals.js';
