/**
 * The scene of the gatekeeper: a server on the Winsock face refuses one caller and defers another, and callers are plain
 * programs of node:net with the preload.
 */

import type { Child } from '../bench/harness/child.js';
import { connectedSockets } from '../bench/harness/kernel.js';
import type { Verdict } from './commands.js';
import { spawnProgram } from './programs.js';
import type { Check } from './sequence.js';

const answerMs = 20_000;
const attemptsMax = 3;

interface Heard {
  text: string;
  code: string;
}

interface Decided {
  verdict: Verdict;
  caller: number;
  code: string;
  provider?: string;
}

/** A program's next line. */
async function next<T>(child: Child): Promise<T> {
  return (await child.next(answerMs)) as T;
}

export async function refusal(say: (line: string) => void): Promise<Check[]> {
  const server = spawnProgram('gatekeeper', [], { preload: false });
  const children = [server];
  const call = (env: NodeJS.ProcessEnv = {}): Child => {
    const caller = spawnProgram('caller', [String(port)], { preload: true, env });
    children.push(caller);
    return caller;
  };
  const { port } = await next<{ port: number }>(server);
  say(`Gatekeeper on sockets-direct/winsock2, process ${server.pid}, port ${port}.`);
  try {
    let refused: Heard;
    let rejected: Decided;
    let attempts = 0;
    do {
      server.send(['reject']);
      refused = await next<Heard>(call());
      rejected = await next<Decided>(server);
      // On a host that is too busy for the connect budget the caller comes by TCP/IP, and is reset.
    } while (refused.code !== 'ECONNREFUSED' && ++attempts < attemptsMax);
    const afterRefusal = connectedSockets(port).length;

    server.send(['defer', 'accept']);
    const heard = await next<Heard>(call({ SOCKETS_DIRECT_REQUIRE: 'shared-memory' }));
    const [deferred, accepted] = [await next<Decided>(server), await next<Decided>(server)];
    server.finish();
    const exit = await server.exit(answerMs).catch(() => 'none');
    return [
      {
        name: 'refusal: CF_REJECT of a WSAAccept condition is ECONNREFUSED for an unmodified client',
        ok: refused.code === 'ECONNREFUSED' && rejected.code === 'WSAECONNREFUSED' && rejected.caller > 0,
        detail: `the client saw ${refused.code || 'a connection'}, WSAAccept ${rejected.code || 'a connection'}`,
      },
      {
        // The server listens by TCP/IP too: an attempt there would have been a connection.
        name: 'refusal: TCP/IP is not tried after it',
        ok: refused.text === '' && afterRefusal === 0,
        detail: `${afterRefusal} TCP sockets with port ${port} at either end, in any state but LISTEN`,
      },
      {
        name: 'deferral: CF_DEFER keeps the caller, and the next WSAAccept is asked about the same one',
        ok: deferred.code === 'WSATRY_AGAIN' && accepted.code === '' && deferred.caller === accepted.caller,
        detail: `first ${deferred.code || 'accepted'}, then ${accepted.code || 'accepted'}; ports ${deferred.caller}, ${accepted.caller}`,
      },
      {
        name: 'deferral: it is then served over shared memory',
        ok: heard.text === 'welcome' && heard.code === '' && accepted.provider === 'shared-memory',
        detail: `the client heard ${JSON.stringify(heard.text)} by ${accepted.provider ?? 'nobody'}`,
      },
      { name: 'the gatekeeper ends by itself', ok: exit === 0, detail: `exit code ${exit}` },
    ];
  } finally {
    for (const child of children) child.kill();
  }
}
