/** Somebody who does what a page of the documentation says, in a directory of its own. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type CommandBlock, matchesOutput } from '../../tools/docs/blocks.js';
import { repositoryRoot } from '../../tools/source/files.js';

/** No command of a page takes longer; the slowest installs from the registry. */
const limit = 120_000;

interface Running {
  readonly child: ChildProcess;
  output: string;
}

export class Reader {
  readonly #top = mkdtempSync(join(tmpdir(), 'sockets-direct-docs-'));
  readonly #project = join(this.#top, 'project');
  readonly #clone = join(this.#top, 'sockets-direct');
  readonly #background: Running[] = [];
  #cloned = false;

  /** `installed`: the project has the package already, which is then the one under test. */
  constructor(t: TestContext, installed: boolean) {
    t.after(() => this.#close());
    mkdirSync(this.#project);
    writeFileSync(join(this.#project, 'package.json'), '{ "name": "project", "private": true }\n');
    if (!installed) return;
    const modules = join(this.#project, 'node_modules');
    mkdirSync(join(modules, '.bin'), { recursive: true });
    symlinkSync(repositoryRoot(), join(modules, 'sockets-direct'));
    symlinkSync('../sockets-direct/dist/cli/main.js', join(modules, '.bin/sockets-direct'));
  }

  writes(name: string, text: string): void {
    writeFileSync(join(this.#project, name), text);
  }

  /** Runs the commands as one script of a shell that stops at the first failure, and compares what it prints. */
  async runs(block: CommandBlock, page: string): Promise<void> {
    const what = `${page}:${block.line}`;
    const running = this.#start(block);
    if (block.background) {
      this.#background.push(running);
      await this.#shown(running, block.output ?? '', what);
      return;
    }
    const code = await this.#ended(running, what);
    assert.equal(code, 0, `${what}\n${running.output}`);
    if (block.output !== null && !matchesOutput(block.output, running.output)) {
      assert.equal(running.output, block.output, what);
    }
  }

  #start({ text, inClone }: CommandBlock): Running {
    if (inClone) this.#makeClone();
    const child = spawn('bash', ['-ec', text], {
      cwd: inClone ? this.#clone : this.#project,
      // A group of its own, so that what a shell leaves running ends with it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        SOCKETS_DIRECT_DIR: join(this.#top, 'rendezvous'),
        // The machine may be busy with other tests.
        SOCKETS_DIRECT_CONNECT_BUDGET: '5000',
      },
    });
    const running: Running = { child, output: '' };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        running.output += part;
      });
    }
    return running;
  }

  /** What is under version control or may come to be, without what was built or installed. */
  #makeClone(): void {
    if (this.#cloned) return;
    this.#cloned = true;
    const root = repositoryRoot();
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    for (const path of execFileSync('git', list, { cwd: root, encoding: 'utf8' }).split('\0')) {
      if (path === '') continue;
      mkdirSync(dirname(join(this.#clone, path)), { recursive: true });
      cpSync(join(root, path), join(this.#clone, path));
    }
  }

  async #shown(running: Running, output: string, what: string): Promise<void> {
    const timer = AbortSignal.timeout(limit);
    while (!running.output.includes(output)) {
      assert.ok(!timer.aborted && running.child.exitCode === null, `${what}: it printed\n${running.output}`);
      await Promise.race([once(running.child.stdout!, 'data'), once(running.child, 'close'), once(timer, 'abort')]);
    }
  }

  async #ended(running: Running, what: string): Promise<number> {
    const timer = setTimeout(() => this.#kill(running), limit);
    try {
      const [code, signal] = await once(running.child, 'close');
      return (code as number | null) ?? assert.fail(`${what}: ended by ${signal}\n${running.output}`);
    } finally {
      clearTimeout(timer);
    }
  }

  #kill({ child }: Running): void {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // All of the group have ended.
    }
  }

  async #close(): Promise<void> {
    for (const running of this.#background) {
      const ended = running.child.exitCode === null ? once(running.child, 'close') : null;
      this.#kill(running);
      await ended;
    }
    rmSync(this.#top, { recursive: true, force: true });
  }
}
