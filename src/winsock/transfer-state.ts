/** What a connection is up here, for the process to which its socket moves. It comes from another process, so it is checked. */

import type { StoreState } from './receive-store.js';

export interface TransferState {
  readonly store: StoreState;
  readonly error: number;
  readonly ended: boolean;
  readonly receiveShut: boolean;
  readonly sendShut: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function isStore(value: unknown): value is StoreState {
  if (!isObject(value)) return false;
  const { chunks, mark } = value;
  if (!Array.isArray(chunks) || !chunks.every((chunk) => chunk instanceof Uint8Array && chunk.length > 0)) return false;
  if (mark === null) return true;
  if (!isObject(mark) || !(mark.byte instanceof Uint8Array) || mark.byte.length !== 1) return false;
  const { index, received } = mark;
  if (typeof received !== 'boolean' || !Number.isInteger(index) || (index as number) < -1) return false;
  // An urgent byte is a chunk of its own.
  return index === -1 || (chunks[index as number] as Uint8Array | undefined)?.length === 1;
}

/** The value, if it can be one; else null. */
export function checkedTransfer(value: unknown): TransferState | null {
  if (!isObject(value) || !isStore(value.store)) return null;
  const { error, ended, receiveShut, sendShut } = value;
  if (!Number.isInteger(error) || (error as number) < 0) return null;
  return [ended, receiveShut, sendShut].every((flag) => typeof flag === 'boolean')
    ? (value as unknown as TransferState)
    : null;
}
