import net from 'node:net';
import { unannounced } from './unannounced.js';

/** As it was when this module was loaded, which the preload sees to: programs replace it, and must not see our own connects. */
const { connect } = net.Socket.prototype;

/** Connects a socket of node:net to a Unix socket, by the original function. */
export function connectUnix(socket: net.Socket, path: string): void {
  unannounced(() => {
    (connect as (this: net.Socket, options: net.IpcSocketConnectOpts) => net.Socket).call(socket, { path });
  });
}
