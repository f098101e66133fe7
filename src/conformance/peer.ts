/** The program of a peer in another process: joins the SAN of a rig, and does the steps that it is told by messages. */

import { loadSubject } from './load.js';
import { Node } from './node.js';
import { PeerSteps } from './peer-steps.js';

interface Order {
  readonly id: number;
  readonly step: keyof PeerSteps;
  readonly args: readonly never[];
}

async function start([url = '', place = '', connectBudget = '']: readonly string[]): Promise<void> {
  const subject = await loadSubject(url);
  const joined = await subject.join!(place, { connectBudget: Number(connectBudget) });
  const steps = new PeerSteps(new Node(joined.party));
  process.on('message', ({ id, step, args }: Order) => {
    const act = steps[step].bind(steps) as (...args: readonly never[]) => unknown;
    Promise.resolve()
      .then(() => act(...args))
      .then(
        (value) => process.send!({ id, value }),
        (error: unknown) => process.send!({ id, error: error instanceof Error ? error.message : String(error) }),
      );
  });
}

// Who has started it may be gone without having ended it.
process.on('disconnect', () => process.exit());
void start(process.argv.slice(2));
