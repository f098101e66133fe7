/** Clusters: workers serve the connections that they would serve on stock Node.js, and take those of a SAN themselves. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Program, Stage } from '../support/stage.js';

interface Answer {
  worker: number;
  server: number;
  provider: string | null;
  client: string | null;
}

interface WorkerReport {
  id: number;
  ports: number[];
  reasons: string[];
}

const program = new URL('./programs/cluster.js', import.meta.url);
const limit = { timeout: 60_000 };

class Cluster {
  readonly #stage: Stage;
  readonly #stock: boolean;
  readonly #require: boolean;
  primary!: Program;
  readonly workers: WorkerReport[] = [];

  constructor(t: TestContext, stock: boolean, require = !stock) {
    this.#stage = new Stage(t);
    this.#stock = stock;
    this.#require = require;
  }

  get #options(): { preload: null } | { require: boolean } {
    return this.#stock ? { preload: null } : { require: this.#require };
  }

  async start(scheduling: 'rr' | 'none', count: number, options: object): Promise<this> {
    this.primary = this.#stage.start(program, ['primary', scheduling, count, JSON.stringify(options)], this.#options);
    for (let i = 0; i < count; i++) this.workers.push(await this.primary.next<WorkerReport>('worker'));
    return this;
  }

  get port(): number {
    return this.workers[0]!.ports[0]!;
  }

  async ask(count: number, { port = this.port, stock = this.#stock } = {}): Promise<Answer[]> {
    const options = stock ? { preload: null } : this.#options;
    const client = this.#stage.start(program, ['client', port, count], options);
    return (await client.next<{ answers: Answer[] }>('answers')).answers;
  }

  /** Clients that keep their connection; each is asked for one. */
  async hold(count: number): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let i = 0; i < count; i++) {
      const client = this.#stage.start(program, ['client', this.port, 1, 'hold'], this.#options);
      answers.push(...(await client.next<{ answers: Answer[] }>('answers')).answers);
    }
    return answers;
  }

  async order(kind: string, answer: string, fields: object = {}): Promise<void> {
    this.primary.tell({ kind, ...fields });
    await this.primary.next(answer);
  }

  /** The primary's channel keeps nobody: it ends when its workers have. */
  async stop(): Promise<void> {
    await this.order('stop', 'stopped');
    assert.equal((await this.primary.ended()).code, 0);
  }
}

function perWorker(answers: readonly Answer[]): number[] {
  const counts = new Map<number, number>();
  for (const { worker } of answers) counts.set(worker, (counts.get(worker) ?? 0) + 1);
  return [...counts.entries()].sort(([a], [b]) => a - b).map(([, count]) => count);
}

function providers(answers: readonly Answer[]): (string | null)[] {
  return [...new Set(answers.flatMap(({ provider, client }) => [provider, client]))];
}

const both = [
  { name: 'stock', stock: true, carried: [null] },
  { name: '[shared-memory]', stock: false, carried: ['shared-memory'] },
];

for (const { name, stock, carried } of both) {
  test(`${name}: workers take turns; one that dies, or disconnects, or comes later`, limit, async (t) => {
    const cluster = await new Cluster(t, stock).start('rr', 3, { listen: { port: 0, host: '127.0.0.1' } });
    assert.equal(new Set(cluster.workers.flatMap(({ ports }) => ports)).size, 1, 'port 0 is one port for all');
    const answers = await cluster.ask(9);
    assert.deepEqual(perWorker(answers), [3, 3, 3]);
    assert.deepEqual(providers(answers), carried);

    await cluster.order('kill', 'gone', { id: 1 });
    const without = await cluster.ask(6);
    assert.deepEqual(perWorker(without), [3, 3]);
    assert.ok(without.every(({ worker }) => worker !== 1));
    assert.deepEqual(providers(without), carried);

    await cluster.order('disconnect', 'gone', { id: 2 });
    await cluster.order('start', 'worker');
    const later = await cluster.ask(6);
    assert.deepEqual([...new Set(later.map(({ worker }) => worker))].sort(), [3, 4]);
    assert.deepEqual(perWorker(later), [3, 3]);
    assert.deepEqual(providers(later), carried);
    await cluster.stop();
  });

  test(`${name}: a worker that stops listening, and listens again`, limit, async (t) => {
    const cluster = await new Cluster(t, stock).start('rr', 2, { listen: { port: 0, host: '127.0.0.1' } });
    await cluster.order('close', 'done', { id: 1 });
    const alone = await cluster.ask(4);
    assert.deepEqual([...new Set(alone.map(({ worker }) => worker))], [2]);
    assert.deepEqual(providers(alone), carried);
    await cluster.order('listen', 'done', { id: 1 });
    const answers = await cluster.ask(4, { port: cluster.port });
    assert.deepEqual(perWorker(answers), [2, 2]);
    assert.deepEqual(providers(answers), carried);
    await cluster.stop();
  });

  test(`${name}: several servers in each worker, and exclusive ones`, limit, async (t) => {
    const shared = await new Cluster(t, stock).start('rr', 2, { listen: { port: 0, host: '127.0.0.1' }, servers: 2 });
    for (const [i, port] of shared.workers[0]!.ports.entries()) {
      const answers = await shared.ask(4, { port });
      assert.deepEqual(perWorker(answers), [2, 2]);
      assert.deepEqual([...new Set(answers.map(({ server }) => server))], [i]);
      assert.deepEqual(providers(answers), carried);
    }
    const own = await new Cluster(t, stock).start('rr', 2, { listen: { port: 0, host: '127.0.0.1', exclusive: true } });
    for (const { id, ports } of own.workers) {
      const answers = await own.ask(2, { port: ports[0]! });
      assert.deepEqual([...new Set(answers.map(({ worker }) => worker))], [id]);
      assert.deepEqual(providers(answers), carried);
    }
  });

  test(`${name}: without scheduling the workers share one handle`, limit, async (t) => {
    const cluster = await new Cluster(t, stock).start('none', 2, { listen: { port: 0, host: '127.0.0.1' } });
    const answers = await cluster.ask(6);
    assert.equal(answers.length, 6);
    assert.deepEqual(providers(answers), carried);
    await cluster.order('kill', 'gone', { id: 1 });
    const left = await cluster.ask(2);
    assert.deepEqual([...new Set(left.map(({ worker }) => worker))], [2]);
    assert.deepEqual(providers(left), carried);
    await cluster.stop();
  });

  test(`${name}: with maxConnections the primary knows who has room, so it distributes`, limit, async (t) => {
    const options = { listen: { port: 0, host: '127.0.0.1' }, maxConnections: 1 };
    const cluster = await new Cluster(t, stock, false).start('rr', 3, options);
    const answers = await cluster.hold(3);
    assert.deepEqual(perWorker(answers), [1, 1, 1]);
    assert.deepEqual(providers(answers), [stock ? null : 'tcpip']);
    const reason = stock ? null : 'cluster-distribution';
    assert.deepEqual(
      cluster.workers.map(({ reasons }) => reasons),
      [[reason], [reason], [reason]],
    );
  });
}

test('a client without Sockets Direct gets its worker from the primary', limit, async (t) => {
  const cluster = await new Cluster(t, false).start('rr', 2, { listen: { port: 0, host: '127.0.0.1' } });
  const answers = await cluster.ask(4, { stock: true });
  assert.deepEqual(perWorker(answers), [2, 2]);
  assert.deepEqual(providers(answers), ['tcpip', null]);
});
