/** Who is compared: the same plain programs, with the preload and without. */

import { cleanEnvironment, preload } from './harness/environment.js';

export const contenderNames = ['sockets-direct', 'tcp'] as const;
export type ContenderName = (typeof contenderNames)[number];

export interface Contender {
  name: ContenderName;
  nodeArguments: readonly string[];
  env: NodeJS.ProcessEnv;
  /** What must have carried the bytes, checked against the kernel's table of TCP sockets. */
  carrier: 'shared-memory' | 'tcp';
}

/** `stubbed`: the harness is tried out with TCP in both places, as long as there is nothing to preload. */
export function contender(name: ContenderName, stubbed: boolean): Contender {
  if (name === 'sockets-direct' && !stubbed) {
    return {
      name,
      nodeArguments: preload,
      // A fallback to TCP is an error here: otherwise TCP would be compared with itself without anybody noticing.
      env: cleanEnvironment({ SOCKETS_DIRECT_REQUIRE: 'shared-memory' }),
      carrier: 'shared-memory',
    };
  }
  return { name, nodeArguments: [], env: cleanEnvironment(), carrier: 'tcp' };
}
