/** What the kernel says about TCP, independent of what any library claims: /proc/net/tcp, /proc/net/tcp6, /proc/net/snmp. */

import { readFileSync } from 'node:fs';

/** One line of /proc/net/tcp that matters here. */
export interface KernelSocket {
  localPort: number;
  remotePort: number;
  /** As the kernel numbers them: 1 is ESTABLISHED, 6 TIME_WAIT, 10 LISTEN. */
  state: number;
}

export const ESTABLISHED = 1;
export const LISTEN = 10;

/** Reads the text of /proc/net/tcp or tcp6. Ports are the hexadecimal digits after the address. */
export function parseSockets(text: string): KernelSocket[] {
  const sockets: KernelSocket[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]{2}) /.exec(line);
    if (match === null) continue;
    const [, local = '', remote = '', state = ''] = match;
    sockets.push({
      localPort: Number.parseInt(local, 16),
      remotePort: Number.parseInt(remote, 16),
      state: Number.parseInt(state, 16),
    });
  }
  return sockets;
}

/** All connected (or recently closed) TCP sockets with `port` at one of their ends; listening ones are not counted. */
export function connectedSockets(port: number): KernelSocket[] {
  const all = [...parseSockets(read('/proc/net/tcp')), ...parseSockets(read('/proc/net/tcp6'))];
  return all.filter((socket) => socket.state !== LISTEN && (socket.localPort === port || socket.remotePort === port));
}

/** Reads Tcp OutSegs from the text of /proc/net/snmp. */
export function parseOutSegs(text: string): number {
  const [names = '', values = ''] = text.split('\n').filter((line) => line.startsWith('Tcp:'));
  const column = names.split(' ').indexOf('OutSegs');
  const value = Number(values.split(' ')[column]);
  if (column < 0 || Number.isNaN(value)) throw new Error('/proc/net/snmp has no Tcp OutSegs');
  return value;
}

/** TCP segments that this network namespace has sent so far. */
export function outSegs(): number {
  return parseOutSegs(read('/proc/net/snmp'));
}

/** A host without IPv6 has no tcp6: no sockets there. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (path.endsWith('tcp6')) return '';
    throw error;
  }
}
