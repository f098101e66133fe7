/** The command line of the bench. */

import { parseArgs } from 'node:util';
import { type ContenderName, contenderNames } from './contender.js';
import { type Measurement, plan } from './plan.js';

export interface BenchOptions {
  quick: boolean;
  json: boolean;
  rounds: number;
  measurements: readonly Measurement[];
  contenders: readonly ContenderName[];
  /** TCP in place of Sockets Direct, to try out the bench itself. */
  stubbed: boolean;
}

export const usage = `npm run bench -- [--quick] [--json] [--rounds N] [--only NAME,...] [--contenders NAME,...]

  --quick        everything within 60 s: 2 rounds, short measurements
  --json         raw figures of all rounds as JSON instead of the table
  --rounds N     rounds, each with every measurement and contender (2 with --quick, otherwise 5)
  --only         of these: ${plan.map(({ name }) => name).join(', ')}
  --contenders   of these: ${contenderNames.join(', ')}`;

/** Throws with a sentence for the user. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      contenders: { type: 'string' },
      // For work on the bench itself, therefore not in the usage text.
      'contender-a': { type: 'string' },
    },
  });
  const rounds = values.rounds === undefined ? (values.quick ? 2 : 5) : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds needs a positive whole number`);
  const stub = values['contender-a'];
  if (stub !== undefined && stub !== 'tcp') throw new Error('--contender-a knows only tcp');

  const names = choose(
    '--only',
    values.only,
    plan.map(({ name }) => name),
  );
  return {
    quick: values.quick,
    json: values.json,
    rounds,
    measurements: plan.filter(({ name }) => names.includes(name)),
    contenders: choose('--contenders', values.contenders, contenderNames),
    stubbed: stub === 'tcp',
  };
}

/** The chosen names in the order in which they are known; all if nothing was chosen. */
function choose<T extends string>(option: string, list: string | undefined, known: readonly T[]): readonly T[] {
  if (list === undefined) return known;
  const wanted = list.split(',');
  const unknown = wanted.filter((name) => !known.some((candidate) => candidate === name));
  if (unknown.length > 0) throw new Error(`${option}: ${unknown.join(', ')} is not one of ${known.join(', ')}`);
  return known.filter((name) => wanted.includes(name));
}
