/** Puts the hooks in place, once for a process or worker. */

import type net from 'node:net';
import type { Reason } from '../diagnostics/reasons.js';
import { addStatusSource } from '../diagnostics/status.js';
import type { TcpipSocket } from '../providers/tcpip/provider.js';
import type { SwitchSocket } from '../switch/face.js';
import { hookActiveHandles } from './active-handles.js';
import { hookReset } from './bypass.js';
import { type ConnectionInfo, connectionInfo, rememberOff, rememberOther } from './connection-info.js';
import { startDeferred } from './deferred.js';
import { type Gate, hookConnect } from './hooks-connect.js';
import { hookListen } from './hooks-listen.js';
import { internals } from './internals.js';
import { debug } from './log.js';
import { tcpConnections, tcpListeners } from './status-source.js';

/** The part of the switch that the hooks need. */
export interface SocketSwitch {
  openSocket(tcp: TcpipSocket): SwitchSocket;
}

export interface InstallOptions {
  /** Called at the first eligible connect or listen, and once only. If it throws, every socket stays on TCP/IP. */
  getSwitch(): SocketSwitch;
  /** For which sockets and servers the hooks work. Absent: for all of them. */
  eligible?(owner: object): boolean;
}

/** Survives a second copy of this package in one process: whoever comes first installs. */
const installedKey = Symbol.for('sockets-direct.net');

interface Installed {
  tests: ((owner: object) => boolean)[];
  everything: boolean;
  /** Of the copy that has installed: it alone knows the decisions. */
  readonly info: (socket: net.Socket | net.Server) => ConnectionInfo;
}

/**
 * Hooks Node's TCP handle. Calling it again only makes more sockets eligible. Returns null, or the reason why this
 * runtime is left alone.
 */
export function installNet(options: InstallOptions): Reason | null {
  startDeferred();
  const registry = globalThis as unknown as { [installedKey]?: Installed };
  let installed = registry[installedKey];
  if (installed === undefined) {
    const result = internals();
    if (typeof result === 'string') {
      rememberOff(result);
      debug('not installed: %s', result);
      return result;
    }
    installed = { tests: [], everything: false, info: connectionInfo };
    Object.defineProperty(registry, installedKey, { value: installed });
    const gate = createGate(options, installed);
    hookConnect(gate);
    hookListen(gate);
    hookReset();
    addStatusSource({ connections: tcpConnections, listeners: tcpListeners });
    hookActiveHandles();
  }
  if (installed.info !== connectionInfo) rememberOther(installed.info);
  if (options.eligible === undefined) installed.everything = true;
  else installed.tests.push(options.eligible);
  return null;
}

function createGate(options: InstallOptions, installed: Installed): Gate {
  let found: SocketSwitch | Reason | null = null;
  return {
    eligible: (owner) => installed.everything || installed.tests.some((test) => test(owner)),
    openSocket: (tcp) => {
      found ??= openSwitch(options);
      return typeof found === 'string' ? found : found.openSocket(tcp);
    },
  };
}

function openSwitch(options: InstallOptions): SocketSwitch | Reason {
  try {
    return options.getSwitch();
  } catch (error) {
    debug('no switch: %o', error);
    return 'no-provider';
  }
}
