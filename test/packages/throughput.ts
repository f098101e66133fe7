/**
 * `npm run throughput -- --runs 5`: operations a second of packages from npm in two processes, with the preload and stock,
 * alternating. Prints the median of each, their ratio, and the ratio of every pair, as Markdown.
 */

import { parseArgs } from 'node:util';
import { median } from '../../bench/harness/statistics.js';
import { repositoryRoot } from '../../tools/source/files.js';
import { preparePackages } from '../../tools/testing/packages.js';
import { Stage } from '../support/stage.js';

type Rates = ReadonlyMap<string, number>;

async function measure(preloaded: boolean): Promise<Rates> {
  const ends: (() => unknown)[] = [];
  const stage = new Stage({ after: (end) => void ends.push(end as () => unknown) });
  try {
    const url = new URL('programs/load.js', import.meta.url);
    const options = preloaded ? {} : { preload: null };
    const server = stage.start(url, ['server'], options);
    const { ports } = await server.next<{ ports: object }>('listening');
    const client = stage.start(url, ['client', JSON.stringify(ports)], options);
    await client.next('done', 60_000);
    const rates = new Map<string, number>();
    for (;;) {
      const rate = await client.next<{ name: string; perSecond: number }>('rate', 1).catch(() => null);
      if (rate === null) return rates;
      rates.set(rate.name, rate.perSecond);
    }
  } finally {
    for (const end of ends) await end();
  }
}

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' } } });
const failure = preparePackages(repositoryRoot());
if (failure !== null) throw new Error(failure);

const pairs: { direct: Rates; stock: Rates }[] = [];
for (let run = 0; run < Number(values.runs); run++) {
  // Who is first changes from run to run.
  const first = await measure(run % 2 === 0);
  const second = await measure(run % 2 === 1);
  pairs.push(run % 2 === 0 ? { direct: first, stock: second } : { direct: second, stock: first });
}

console.log('| operations a second | preloaded | stock | ratio of medians | ratios of pairs |\n|---|---|---|---|---|');
for (const name of pairs[0]!.direct.keys()) {
  const direct = pairs.map((pair) => pair.direct.get(name)!);
  const stock = pairs.map((pair) => pair.stock.get(name)!);
  const ratios = direct.map((rate, i) => (rate / stock[i]!).toFixed(2));
  const ratio = median(direct) / median(stock);
  console.log(
    `| ${name} | ${Math.round(median(direct))} | ${Math.round(median(stock))} | ${ratio.toFixed(2)} | ${ratios.join(' ')} |`,
  );
}
