/** Socket options of this provider (section 16 of the digest): limits that can be read, and SO_DEBUG. */

import {
  type Out,
  SO_DEBUG,
  SO_MAX_MSG_SIZE,
  SO_MAX_RDMA_SIZE,
  SO_RDMA_THRESHOLD_SIZE,
  SOL_SOCKET,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOPROTOOPT,
} from '../../spi/index.js';

export interface Limits {
  readonly messageSizeMax: number;
  readonly rdmaSizeMax: number;
  readonly rdmaThreshold: number;
}

/** Bytes of every option. */
const optionSize = 4;

/** 0 with the value, or WSAEFAULT, WSAENOPROTOOPT (WSD-OPT-12, WSD-OPT-14). */
export function getOption(
  limits: Limits,
  debug: boolean,
  level: number,
  name: number,
  value: Out<number>,
  length: Out<number>,
): number {
  const values = new Map([
    [SO_MAX_MSG_SIZE, limits.messageSizeMax],
    [SO_MAX_RDMA_SIZE, limits.rdmaSizeMax],
    [SO_RDMA_THRESHOLD_SIZE, limits.rdmaThreshold],
    [SO_DEBUG, debug ? 1 : 0],
  ]);
  const found = level === SOL_SOCKET ? values.get(name) : undefined;
  if (found === undefined) return WSAENOPROTOOPT;
  if (length.value < optionSize) return WSAEFAULT;
  value.value = found;
  length.value = optionSize;
  return 0;
}

/** 0 if SO_DEBUG can be set so, else WSAEFAULT, WSAEINVAL, WSAENOPROTOOPT (WSD-OPT-13). */
export function checkOption(level: number, name: number, value: number, length: number): number {
  if (level !== SOL_SOCKET || name !== SO_DEBUG) return WSAENOPROTOOPT;
  if (length < optionSize) return WSAEFAULT;
  return value === 0 || value === 1 ? 0 : WSAEINVAL;
}
