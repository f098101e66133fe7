/**
 * `hostile-handshakes.js PORT SEED CASES`: begins to link with the process that listens at the port, each time with one
 * field of a message of the handshake spoilt, and tells why it was refused.
 */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { loadPlatform } from '../../../src/platform/index.js';
import { ARENA_SIZE } from '../../../src/providers/shared-memory/arena.js';
import {
  decodeMessage,
  encodeMessage,
  MessageType,
  messageLength,
} from '../../../src/providers/shared-memory/handshake.js';
import { Rendezvous } from '../../../src/providers/shared-memory/rendezvous.js';
import { type Field, fieldsOf, keyOf } from './hostile-fields.js';
import { Random, spoilMessage } from './hostile-values.js';
import { reported } from './support.js';

const [port, seed, wanted] = process.argv.slice(2).map(Number) as [number, number, number];
const platform = loadPlatform();
const rendezvous = new Rendezvous({ environment: process.env, platform });
const [entry] = rendezvous.list(port);
const path = rendezvous.findSocket(entry!.token)!;
const random = new Random(seed);

/** Handshakes at one time. */
const atOnce = 8;

const cases: Record<string, number> = {};
const refused: Record<string, number> = {};
let total = 0;
let begun = 0;
let linked = 0;

function greeting(type: MessageType): Buffer {
  return encodeMessage({
    type,
    lowestVersion: 1,
    highestVersion: 1,
    arenaSize: ARENA_SIZE,
    // A name of its own for each, or they would be one peer.
    token: randomBytes(12).toString('hex'),
    networkNamespace: platform.networkNamespaceCookie(),
    probe: null,
    refusal: type === MessageType.refuse ? 'peer-busy' : null,
  });
}

/** The next message of the victim; null if it closes. */
function answer(socket: net.Socket): Promise<Buffer | null> {
  return new Promise((resolve) => {
    let got = Buffer.alloc(0);
    const end = (value: Buffer | null): void => {
      socket.off('data', take).off('close', closed);
      resolve(value);
    };
    const closed = (): void => end(null);
    const take = (chunk: Buffer): void => {
      got = Buffer.concat([got, chunk]);
      if (got.length >= messageLength) end(got.subarray(0, messageLength));
    };
    socket.on('data', take).on('close', closed);
  });
}

function looked(field: Field | null, said: Buffer | null): boolean {
  const name = field === null ? 'handshake of another length' : keyOf(field);
  cases[name] = (cases[name] ?? 0) + 1;
  total++;
  if (said === null) return false;
  const { refusal } = decodeMessage(said);
  if (refusal !== null) refused[refusal] = (refused[refusal] ?? 0) + 1;
  return refusal === null;
}

async function one(): Promise<void> {
  const socket = net.connect(path);
  socket.on('error', () => {});
  await once(socket, 'connect');
  const field = random.once(12) ? null : random.pick(fieldsOf('handshake'));
  const message = greeting(field?.name === 'reason' ? MessageType.refuse : MessageType.hello);
  if (field !== null) spoilMessage(random, message, field);
  socket.write(field === null ? message.subarray(0, 1 + random.below(messageLength - 1)) : message);
  if (looked(field, await answer(socket))) {
    // Welcome: the last step may be spoilt as well.
    const ready = greeting(MessageType.ready);
    const last = random.pick(fieldsOf('handshake').filter(({ name }) => name === 'magic' || name === 'type'));
    if (random.once(2)) {
      linked++;
      socket.write(ready);
    } else {
      spoilMessage(random, ready, last);
      socket.write(ready);
      looked(last, await answer(socket));
    }
  }
  socket.destroy();
}

async function each(): Promise<void> {
  while (begun++ < wanted) await one();
}

await Promise.all(Array.from({ length: atOnce }, each));
rendezvous.close();
await reported('attacked', { total, cases, refused, linked });
process.exit(0);
