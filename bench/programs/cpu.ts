/** Processor time as the scheduler counts it, in nanoseconds: finer than the clock ticks of process.cpuUsage() of others. */

import { readdirSync, readFileSync } from 'node:fs';

/** All threads of one process, so that garbage collection and compilation are counted as well. */
export function processCpuNs(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // A thread that ended between the two reads has nothing more to say.
    }
  }
  return sum;
}

/** This process and its server together. */
export function bothCpuNs(serverPid: number): number {
  return processCpuNs(process.pid) + processCpuNs(serverPid);
}
