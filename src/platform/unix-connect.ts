import net from 'node:net';
import { unannounced } from './unannounced.js';

/** As they were when this module was loaded, which the preload sees to: programs replace them, and must not see what is ours. */
const { connect } = net.Socket.prototype;
const { listen } = net.Server.prototype;

/** Connects a socket of node:net to a Unix socket, by the original function. */
export function connectUnix(socket: net.Socket, path: string): void {
  unannounced(() => {
    (connect as (this: net.Socket, options: net.IpcSocketConnectOpts) => net.Socket).call(socket, { path });
  });
}

/** Listens at a path by the original function, in a cluster's worker too. */
export function listenUnix(server: net.Server, path: string): void {
  (listen as (this: net.Server, options: net.ListenOptions) => net.Server).call(server, { path, exclusive: true });
}
