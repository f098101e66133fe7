/** Plays a program with a package from npm in two processes: with Sockets Direct on both sides, on neither, and on one. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type Program, Stage, type StartOptions } from '../support/stage.js';

type Tally = Readonly<Record<string, number>>;

/** What a side tells at its end. */
export interface Account {
  readonly facts: readonly string[];
  /** Connections by "provider reason". */
  readonly accepted: Tally;
  readonly connected: Tally;
}

interface Outcome {
  readonly server: Account;
  readonly client: Account;
}

/** What a test expects of a program besides that it sees the same with and without Sockets Direct. */
export interface Expectation {
  readonly args?: readonly string[];
  /** Facts of either side that must be there, so that a test that does nothing fails. */
  readonly facts: readonly (string | RegExp)[];
}

/** No side takes longer, on a machine that others use too. */
const sideLimit = 60_000;
export const direct: StartOptions = {};
export const stock: StartOptions = { preload: null };
/** With Sockets Direct, where the other side has none. */
const alone: StartOptions = { require: false };

/** Why the packages cannot be used; null if they can. `npm test` installs them, and says what went wrong. */
function missing(program: string): string | null {
  const compiled = new URL(`programs/${program}.js`, import.meta.url);
  const installed = new URL('node_modules/', import.meta.url);
  if (existsSync(compiled) && existsSync(installed)) return null;
  return 'the packages of test/packages are not installed; npm test tells why';
}

async function endOf(program: Program, name: string): Promise<Account> {
  const account = await program.next<Account>('account', sideLimit);
  const { code, signal } = await program.ended();
  assert.deepEqual([code, signal], [0, null], `${name} ends by itself: ${program.output}`);
  return account;
}

interface Serving {
  readonly port: number;
  /** Tells it to stop listening, and waits for its end. */
  finish(): Promise<Account>;
}

/** Starts the server side; `behind` is the port of another server that it needs. */
export async function serve(
  stage: Stage,
  program: string,
  args: readonly string[],
  options: StartOptions,
  behind = 0,
): Promise<Serving> {
  const url = new URL(`programs/${program}.js`, import.meta.url);
  const serving = stage.start(url, ['server', behind, ...args], options);
  const { port } = await serving.next<{ port: number }>('listening');
  const finish = (): Promise<Account> => {
    serving.tell({ kind: 'finish' });
    return endOf(serving, 'the server');
  };
  return { port, finish };
}

/** The client side to its end. */
export function call(
  stage: Stage,
  program: string,
  args: readonly string[],
  options: StartOptions,
  port: number,
): Promise<Account> {
  const url = new URL(`programs/${program}.js`, import.meta.url);
  return endOf(stage.start(url, ['client', port, ...args], options), 'the client');
}

/** Both sides to their ends. */
async function run(
  stage: Stage,
  program: string,
  args: readonly string[],
  sides: { server: StartOptions; client: StartOptions },
): Promise<Outcome> {
  const serving = await serve(stage, program, args, sides.server);
  const client = await call(stage, program, args, sides.client, serving.port);
  return { server: await serving.finish(), client };
}

/** All connections of a side were carried in that way, and there were some. */
export function assertCarried(tally: Tally, by: string, side: string): void {
  assert.deepEqual(Object.keys(tally), [by], side);
}

function factsOf({ server, client }: Outcome): { server: readonly string[]; client: readonly string[] } {
  return { server: server.facts, client: client.facts };
}

/** A test that is skipped if the packages are not there. */
export function testOnStage(title: string, program: string, action: (stage: Stage) => Promise<void>): void {
  test(title, { timeout: 200_000 }, async (t: TestContext) => {
    const reason = missing(program);
    if (reason !== null) t.skip(reason);
    else await action(new Stage(t));
  });
}

/** Defines the tests of `programs/<program>.ts`. */
export function testPackage(name: string, program: string, expected: Expectation): void {
  const { args = [], facts } = expected;

  const compare = async (stage: Stage): Promise<void> => {
    const over = await run(stage, program, args, { server: direct, client: direct });
    assertCarried(over.client.connected, 'shared-memory accelerated', 'the client');
    assertCarried(over.server.accepted, 'shared-memory accelerated', 'the server');
    const said = [...over.client.facts, ...over.server.facts];
    for (const fact of facts) {
      const found = said.some((text) => (typeof fact === 'string' ? text === fact : fact.test(text)));
      assert.ok(found, `${fact} is among\n${said.join('\n')}`);
    }
    const plain = await run(stage, program, args, { server: stock, client: stock });
    assert.deepEqual(factsOf(over), factsOf(plain));
  };

  const mix = async (stage: Stage): Promise<void> => {
    const serving = await run(stage, program, args, { server: alone, client: stock });
    assertCarried(serving.server.accepted, 'tcpip accepted-by-tcpip', 'the server with Sockets Direct');
    const calling = await run(stage, program, args, { server: stock, client: alone });
    assertCarried(calling.client.connected, 'tcpip no-listener', 'the client with Sockets Direct');
    assert.deepEqual(factsOf(serving), factsOf(calling));
  };

  testOnStage(`${name}: as over TCP/IP [shared-memory]`, program, compare);
  testOnStage(`${name}: with Sockets Direct on one side only [tcpip]`, program, mix);
}
