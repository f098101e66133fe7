/**
 * `hostile-sequences.js dial PORT` and `hostile-sequences.js listen PORT`: each plays a correct peer up to one step that is
 * wrong, on a link of its own, and tells what the victim has ended for it.
 */

import { loadPlatform } from '../../../src/platform/index.js';
import { ARENA_SIZE, RING_SIZE, SLOTS } from '../../../src/providers/shared-memory/arena.js';
import { type EstablishedLink, LinkEndpoint } from '../../../src/providers/shared-memory/endpoint.js';
import {
  RECORD_ACCEPT,
  RECORD_CLOSE,
  RECORD_RDMA_WRITE,
  RECORD_REFUSE,
  REQUEST_ACCEPTED,
  requestWord,
} from '../../../src/providers/shared-memory/records.js';
import { Rendezvous } from '../../../src/providers/shared-memory/rendezvous.js';
import { HEADER_SIZE, TYPE_CREDIT, TYPE_DATA, TYPE_FINISH, TYPE_LARGE } from '../../../src/session/header.js';
import { realTime } from '../../support/real-time.js';
import { type HostileConnection, HostileLink } from './hostile-link.js';
import { opened } from './hostile-specials.js';
import { report, reported } from './support.js';

const [role, portText] = process.argv.slice(2);
const port = Number(portText);
const platform = loadPlatform();
const rendezvous = new Rendezvous({ environment: process.env, platform });

type Sequence = (link: HostileLink, one: HostileConnection) => void;

/** Requests that are answered at once, and taken. */
function flood(link: HostileLink, count: number, take: boolean): void {
  link.deaf = !take;
  for (let k = 0; k < count && !link.ended; k++) {
    const { one } = link.request(1 + (k % 1000), 9);
    if (k % 250 !== 249) continue;
    link.publish();
    const answered = (): boolean => {
      if (take) link.read();
      return take ? one.state !== 'asked' : link.taken === link.head;
    };
    if (!link.wait(answered) && !link.ended) link.fault('requests are not answered');
  }
}

/** By what the victim is to end for it. */
const sequences: Readonly<Record<'connection' | 'link' | 'nothing', Readonly<Record<string, Sequence>>>> = {
  connection: {
    'more messages than there is credit': (link, one) => {
      for (let k = 0; k < 100; k++) link.message(one, TYPE_DATA, 1);
    },
    'credit messages without end': (link, one) => {
      for (let k = 0; k < 1000; k++) link.message(one, TYPE_CREDIT, 0);
    },
    'a large send by one who has not offered to take any': (link, one) => {
      link.message(one, TYPE_LARGE, 64);
    },
    'a number left out': (link, one) => {
      one.sequence++;
      link.message(one, TYPE_DATA, 8);
    },
    'a number twice': (link, one) => {
      link.message(one, TYPE_DATA, 8);
      one.sequence--;
      link.message(one, TYPE_DATA, 8);
    },
    'a second negotiation': (link, one) => link.negotiate(one),
    'data after the end': (link, one) => {
      link.message(one, TYPE_FINISH, 0);
      link.message(one, TYPE_DATA, 8);
    },
    'the end twice': (link, one) => {
      link.message(one, TYPE_FINISH, 0);
      link.message(one, TYPE_FINISH, 0);
    },
    'more payload than a buffer takes': (link, one) => link.message(one, TYPE_DATA, 16_385),
    'a payload of half a ring': (link, one) => link.message(one, TYPE_DATA, RING_SIZE / 2),
    'data without bytes': (link, one) => link.message(one, TYPE_DATA, 0),
    'half a header': (link, one) => link.place(HEADER_SIZE / 2, one.id),
    'more credits than there are buffers': (link, one) => {
      one.owed = 33;
      link.message(one, TYPE_CREDIT, 0);
    },
    'a write into memory that was not offered': (link, one) =>
      link.control(RECORD_RDMA_WRITE, one.id, one.generation, 0, 1, 2, 3, 4, 5),
  },
  link: {
    'a close for nobody': (link) => link.control(RECORD_CLOSE, link.side * SLOTS + 4321, 1),
    'a close for a connection of the victim that there is not': (link) =>
      link.control(RECORD_CLOSE, (1 - link.side) * SLOTS + 4321, 1),
    'a close twice': (link, one) => {
      link.close(one);
      link.control(RECORD_CLOSE, one.id, one.generation);
    },
    'an accept for a request that was never made': (link) =>
      link.control(RECORD_ACCEPT, (1 - link.side) * SLOTS + 4321, 1),
    'an accept for its own request': (link) => link.control(RECORD_ACCEPT, link.side * SLOTS + 4321, 1),
    'a refusal for a request that was never made': (link) =>
      link.control(RECORD_REFUSE, (1 - link.side) * SLOTS + 4321, 1, 1),
    'a message for nobody': (link) => link.place(HEADER_SIZE, link.side * SLOTS + 4321),
    'a message beyond all slots': (link) => link.place(HEADER_SIZE, 2 * SLOTS + 1),
    'a record that ends behind the ring': (link) => {
      const { prefix } = link.place(64, 0);
      link.words[prefix] = RING_SIZE;
    },
    'a head in the middle of a word': (link) => {
      link.head += 4;
    },
    'a million requests whose answers nobody takes': (link) => flood(link, 1_000_000, false),
  },
  nothing: {
    '20,000 requests for nothing': (link) => flood(link, 20_000, true),
    'requests that were withdrawn before they were sent': (link) => {
      for (let slot = 2000; slot < 3000; slot++) {
        const { one } = link.request(slot, port);
        link.setRequest(slot, 0);
        link.forget(one);
      }
    },
  },
};

/** Against a client that connects: what is done to its request. */
const answers: Readonly<Record<string, (link: HostileLink, id: number, generation: number) => void>> = {
  'accepted and closed at once': (link, id, generation) => {
    link.control(RECORD_ACCEPT, id, generation);
    link.control(RECORD_CLOSE, id, generation);
  },
  'closed instead of accepted': (link, id, generation) => link.control(RECORD_CLOSE, id, generation),
  'accepted and refused': (link, id, generation) => {
    link.control(RECORD_ACCEPT, id, generation);
    link.control(RECORD_REFUSE, id, generation, 1);
  },
  'refused twice': (link, id, generation) => {
    link.control(RECORD_REFUSE, id, generation, 1);
    link.control(RECORD_REFUSE, id, generation, 1);
  },
  'accepted under another generation': (link, id, generation) => link.control(RECORD_ACCEPT, id, generation + 1),
  'refused for no reason': (link, id, generation) => link.control(RECORD_REFUSE, id, generation, 99),
  'accepted, and negotiated with nonsense': (link, id, generation) => {
    link.control(RECORD_ACCEPT, id, generation);
    link.place(HEADER_SIZE, id, (words, i) => words.set([-1, -1, -1, -1], i));
  },
  'accepted, and then the link is cut': (link, id, generation) => {
    link.control(RECORD_ACCEPT, id, generation);
    link.head += 4;
  },
};

const outcomes: Readonly<Record<string, unknown>>[] = [];
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const alive = setInterval(() => {}, 60_000);

async function dialEach(endpoint: LinkEndpoint): Promise<void> {
  const [entry] = rendezvous.list(port);
  for (const [expected, some] of Object.entries(sequences)) {
    for (const [name, act] of Object.entries(some)) {
      let established: EstablishedLink | null = null;
      while (established === null) {
        established = await endpoint.dial(entry!.token).catch(() => null);
        await turn();
      }
      established.socket.on('error', () => {}).resume();
      const link = new HostileLink(platform, established);
      const one = opened(link, 1, port);
      if (one === null) link.fault('no connection');
      else act(link, one);
      link.publish();
      if (!link.ended) link.settle();
      if (!link.ended && link.faults.length === 0) link.probe();
      link.read();
      const outcome = link.ended ? 'link' : link.closed.violation > 0 ? 'connection' : 'nothing';
      outcomes.push({ name, expected, outcome, closed: link.closed.violation, faults: link.faults });
      established.socket.destroy();
      await turn();
    }
  }
}

/** One kind of answer for all who connect, then the next. */
function answerAll(established: EstablishedLink): void {
  established.socket.on('error', () => {}).resume();
  const link = new HostileLink(platform, established);
  const [name, act] = Object.entries(answers)[links++ % Object.keys(answers).length]!;
  const asked = (): boolean => {
    link.read();
    return link.requests.length > 0;
  };
  if (link.wait(asked)) {
    for (const { id, generation } of link.requests.splice(0)) {
      const word = (link.layout.peerRequests >> 2) + (id & (SLOTS - 1));
      Atomics.store(link.words, word, requestWord(generation, REQUEST_ACCEPTED));
      act(link, id, generation);
    }
    link.publish();
    link.wait(() => link.taken === link.head);
  }
  report('answered', { name });
  established.socket.destroy();
}

let links = 0;
const endpoint = new LinkEndpoint({ ...realTime, platform, rendezvous, arenaSize: ARENA_SIZE, onLink: answerAll });
if (role === 'dial') {
  await dialEach(endpoint);
  await reported('done', { outcomes });
  clearInterval(alive);
  endpoint.close();
  rendezvous.close();
  process.exit(0);
}
endpoint.publish();
rendezvous.register(port, '127.0.0.1');
await reported('listening', { answers: Object.keys(answers) });
