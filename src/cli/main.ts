#!/usr/bin/env node
/** The command line. One file for each command; what they print goes to standard output, what went wrong to standard error. */

import { createRequire } from 'node:module';
import { Command } from 'commander';
import { addConformance } from './conformance.js';
import { addDoctor } from './doctor.js';
import { addRun } from './run.js';
import { addStatus } from './status.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

const program = new Command('sockets-direct')
  .description(
    'Sockets of Node.js programs over shared memory between processes of one host, over TCP/IP everywhere else.',
  )
  .version(version)
  // What follows the name of a command to run is that command's.
  .enablePositionalOptions()
  .showHelpAfterError('(add --help for what there is)');
addRun(program);
addDoctor(program);
addStatus(program);
addConformance(program);
void program.parseAsync();
