/** Hosts on a simulated network, and the usual pair: one listens, one has connected. */

import assert from 'node:assert/strict';
import { SimulatedProvider } from '../../src/providers/simulated/provider.js';
import type { SimulatedOptions } from '../../src/providers/simulated/settings.js';
import { type Process, World } from '../../src/providers/simulated/world.js';
import type { SOCKADDR } from '../../src/spi/index.js';
import type { SwitchOptions } from '../../src/switch/index.js';
import { at, type Connecting, Host, type Listening, Program } from './support.js';
import type { Tap } from './tap.js';

export type Knobs = Partial<SimulatedOptions>;

/** A threshold above every size: all data goes in messages unless a test is about RDMA. */
const rdmaOff = 0xffff_ffff;

export class SimulatedHost extends Host {
  constructor(
    readonly process: Process,
    readonly stage: Stage,
    networks: readonly (readonly string[])[],
    knobs: Knobs,
    options: Partial<SwitchOptions>,
  ) {
    super(
      process.scheduler,
      networks.map((addresses, i) => stage.provider(process, `network-${i}`, addresses, knobs)),
      { now: () => stage.world.now() / 1000, ...options },
    );
  }
}

export class Stage {
  readonly world: World;

  constructor(seed = 1) {
    this.world = new World(seed);
  }

  provider(process: Process, network: string, addresses: readonly string[], knobs: Knobs): SimulatedProvider {
    const usual = { name: `simulated-${network}`, network, addresses, rdmaThreshold: rdmaOff };
    return new SimulatedProvider(process, { ...usual, ...knobs });
  }

  /** A process with one provider for each list of addresses; the n-th is on the n-th network. */
  host(
    networks: readonly (readonly string[])[],
    knobs: Knobs = {},
    options: Partial<SwitchOptions> = {},
  ): SimulatedHost {
    return new SimulatedHost(this.world.process(), this, networks, knobs, options);
  }

  until(condition: () => boolean, what: string): void {
    assert.ok(this.world.runUntil(condition, 60_000_000), what);
  }

  /** Lets everything happen that will, for at most a minute. */
  settle(): void {
    this.world.runOut(60_000_000);
  }

  /** For so many milliseconds of virtual time. */
  pass(milliseconds: number): void {
    const end = this.world.now() + milliseconds * 1000;
    let over = false;
    this.world.schedule(() => {
      over = true;
    }, milliseconds * 1000);
    this.world.runUntil(() => over);
    assert.ok(this.world.now() >= end);
  }
}

export const serverAddress = '10.1.0.1';
export const clientAddress = '10.1.0.2';

/** A server that listens and a client that may connect, each with one provider on one network. */
export class Bench {
  readonly stage: Stage;
  readonly server: SimulatedHost;
  readonly client: SimulatedHost;
  readonly name: SOCKADDR = at(serverAddress, 7000);

  constructor(knobs: Knobs = {}, options: Partial<SwitchOptions> = {}) {
    this.stage = new Stage();
    this.server = this.stage.host([[`${serverAddress}/24`]], knobs, options);
    this.client = this.stage.host([[`${clientAddress}/24`]], knobs, options);
  }

  get serverTap(): Tap {
    return this.server.tap;
  }

  get clientTap(): Tap {
    return this.client.tap;
  }

  connect(): Connecting {
    return this.client.connect(this.name, at(clientAddress, this.client.port()));
  }

  /** A connect whose outcome is awaited. */
  connected(): Connecting {
    const connecting = this.connect();
    this.stage.until(() => connecting.outcome.settled, 'the connect ends');
    return connecting;
  }

  /** The program's end and the peer's of a connection that is negotiated. */
  pair(reads = true): Pair {
    const listening = this.server.listen(this.name);
    const connecting = this.connected();
    this.stage.until(() => listening.accepted.length > 0, 'the connection is accepted');
    assert.ok(connecting.outcome.connection !== null, `connected: ${connecting.outcome.reason}`);
    return {
      listening,
      connecting,
      mine: new Program(connecting.outcome.connection, reads),
      theirs: new Program(listening.accepted[0]!, reads),
    };
  }

  /** The descriptor of the client's connection. */
  get clientSocket(): object {
    return this.client.log.of('WSPConnect', this.clientTap.name).at(-1)!.socket!;
  }

  /** The descriptor of the server's connection. */
  get serverSocket(): object {
    return this.server.log.of('WSPAccept').at(-1)!.result as object;
  }
}

export interface Pair {
  readonly listening: Listening;
  readonly connecting: Connecting;
  readonly mine: Program;
  readonly theirs: Program;
}
