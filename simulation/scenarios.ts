/** What happens in a run: everything at random, or a certain race over and over. */

import { drawFaults, noFaults } from '../src/providers/simulated/faults.js';
import { providersComeAndGo } from './arrivals.js';
import { check } from './failure.js';
import { behave, drawHabits } from './habits.js';
import { sameHost, wander } from './moves.js';
import type { ProgramEnd } from './program.js';
import type { Host } from './rig.js';
import {
  connectSeveral,
  disturb,
  drawHosts,
  drawOptions,
  drawPolicy,
  finishRun,
  listenEverywhere,
  port,
} from './setup.js';
import { acceptAll, type Simulation } from './simulation.js';

export type Scenario = (simulation: Simulation) => void;

/** Everything at random. */
function swarm(simulation: Simulation): void {
  const { world } = simulation;
  const habits = drawHabits(world);
  simulation.onEnd = (end) => behave(end, world, habits);
  const hosts = drawHosts(simulation, 2 + world.pick(2));
  const [server, ...clients] = hosts as [Host, ...Host[]];
  const policy = drawPolicy(world);
  let listener = listenEverywhere(simulation, server, policy);
  const within = 1 + world.pick(world.chance(0.5) ? 1000 : 50_000);
  connectSeveral(simulation, server, clients, 1 + world.pick(6), within);
  if (world.chance(0.3)) {
    listenEverywhere(simulation, clients[0]!, drawPolicy(world));
    connectSeveral(simulation, clients[0]!, [server], 1 + world.pick(3), within);
  }
  if (world.chance(0.3)) {
    server.process.schedule(() => {
      simulation.unlisten(listener);
      if (!world.chance(0.7)) return;
      server.process.schedule(() => {
        listener = listenEverywhere(simulation, server, policy);
      }, world.pick(within));
    }, world.pick(within));
  }
  for (const host of hosts) {
    const moment = (): number => world.pick(2 * within);
    // The interfaces change, or the program cleans up: which the switch refuses while anything is open.
    if (world.chance(0.2)) host.process.schedule(() => host.tcpip.changeAddresses(host.tcpip.addresses), moment());
    if (!world.chance(0.3)) continue;
    host.process.schedule(() => {
      if (host.switch.cleanup()) world.mark('program: cleanup');
    }, moment());
  }
  disturb(simulation, hosts, 2 * within);
  finishRun(simulation, 2 * within + world.pick(20_000));
}

/** A client gives up, a listener closes or an accepted connection is reset while the connection is being made. */
function closeDuringHandshake(simulation: Simulation): void {
  const { world } = simulation;
  const [server, client] = drawHosts(simulation, 2, { latency: 5, spread: 20 }) as [Host, Host];
  const listener = listenEverywhere(simulation, server, drawPolicy(world));
  const moment = (): number => world.pick(150);
  simulation.onEnd = (end) => {
    if (world.chance(0.3)) end.process.schedule(() => (world.chance(0.5) ? end.close() : end.reset()), moment());
  };
  connectSeveral(simulation, server, [client], 4, 50, (attempt) => {
    if (!world.chance(0.6)) return;
    client.process.schedule(() => {
      if (attempt.outcome !== null) return;
      world.mark('scenario: cancelled in the handshake');
      attempt.cancel();
    }, moment());
  });
  if (world.chance(0.5)) {
    server.process.schedule(() => {
      world.mark('scenario: listener closed in the handshake');
      simulation.unlisten(listener);
    }, moment());
  }
  finishRun(simulation, 1000);
}

/** Both directions are full when one end closes or resets. */
function closeDuringDelivery(simulation: Simulation): void {
  const { world } = simulation;
  const [server, client] = drawHosts(simulation, 2) as [Host, Host];
  listenEverywhere(simulation, server, acceptAll);
  let closes = world.chance(0.5);
  simulation.onEnd = (end) => {
    closes = !closes;
    if (world.chance(0.8)) end.read();
    for (let i = world.pick(6); i >= 0; i--) end.write([1 + world.pick(60_000)]);
    if (!closes) return;
    const close = (): void => {
      if (end.incoming.received < end.incoming.written) world.mark('scenario: closed with bytes on the way');
      if (world.chance(0.7)) end.close();
      else end.reset();
    };
    const after = 1 + world.pick(5);
    let chunks = 0;
    // From inside the delivery, or at any moment.
    if (world.chance(0.5)) {
      end.onData = () => {
        if (++chunks === after) close();
      };
    } else end.process.schedule(close, world.pick(2000));
  };
  connectSeveral(simulation, server, [client], 2, 100);
  finishRun(simulation, 20_000);
}

/** A process dies just before or after its peer closes. */
function providerDeathDuringClose(simulation: Simulation): void {
  const { world } = simulation;
  const [server, client] = drawHosts(simulation, 2, { latency: 5, spread: 20 }) as [Host, Host];
  listenEverywhere(simulation, server, acceptAll);
  const dies = world.chance(0.5) ? server : client;
  if (world.chance(0.3)) {
    simulation.dies = dies.process;
    simulation.deathOdds = 0.02;
  }
  simulation.onEnd = (end) => {
    if (world.chance(0.8)) end.read();
    end.write([1 + world.pick(40_000)]);
    if (end.process === dies.process) return;
    const at = world.pick(1500);
    world.schedule(() => {
      if (dies.process.isAlive) world.mark('scenario: death beside a close');
      dies.process.kill();
    }, at + world.pick(60));
    end.process.schedule(() => (world.chance(0.7) ? end.close() : end.finish()), at + world.pick(60));
  };
  connectSeveral(simulation, server, [client], 2, 100);
  finishRun(simulation, 20_000);
}

/** Sends are pending when the connection is aborted, and programs go on asking from inside what they are told. */
function queryDuringAbort(simulation: Simulation): void {
  const { world } = simulation;
  const [server, client] = drawHosts(simulation, 2, { immediateSends: false, providerMemory: false }) as [Host, Host];
  listenEverywhere(simulation, server, acceptAll);
  simulation.onEnd = (end) => {
    const ask = (): void => {
      world.mark('scenario: asked from inside an abort');
      if (end.connection.writeQueueSize < 0) end.write([1]);
      const questions = [
        () => end.write([10]),
        () => end.finish(),
        () => end.pause(),
        () => end.close(),
        () => end.reset(),
      ];
      questions[world.pick(questions.length)]!();
    };
    end.onOver = ask;
    end.read();
    for (let i = 0; i < 8; i++) end.write([1 + world.pick(20_000)]);
    if (end.process === client.process) return;
    const ways = [() => server.process.kill(), () => end.reset(), () => end.close()];
    end.process.schedule(() => ways[world.pick(ways.length)]!(), world.pick(800));
  };
  connectSeveral(simulation, server, [client], 2, 100);
  finishRun(simulation, 20_000);
}

/** Both ends write all they can before either reads. */
function bothSaturatedAndPaused(simulation: Simulation): void {
  const { world } = simulation;
  const [server, client] = drawHosts(simulation, 2) as [Host, Host];
  listenEverywhere(simulation, server, acceptAll);
  const finish = world.chance(0.5);
  /** Microseconds within which the programs end their sending and begin to read. */
  const patience = 1000 + world.pick(20_000);
  // Just as many messages as there are credits leave none that waits, and an end of sending that can go.
  const exact = world.chance(0.5) ? 4 + world.pick(6) : null;
  simulation.onEnd = (end) => {
    const chunk = 1 + world.pick(world.chance(0.5) ? 20_000 : 200);
    for (let i = exact ?? world.pick(40); i > 0; i--) end.write([chunk]);
    if (end.waiting > 0) world.mark('scenario: a writer waits');
    if (finish) end.process.schedule(() => end.finish(), world.pick(patience));
    // They start to read late, and hesitate.
    let hesitations = world.pick(5);
    end.onData = () => {
      if (hesitations-- <= 0) return;
      end.pause();
      end.process.schedule(() => end.read(), world.pick(patience));
    };
    end.process.schedule(() => end.read(), patience / 2 + world.pick(patience));
  };
  connectSeveral(simulation, server, [client], 1 + world.pick(2), 100);
  finishRun(simulation, 4 * patience);
}

/** The acceptor's loop is blocked until about the moment at which the connectors give up (decision 8). */
function withdrawalWhileBlocked(simulation: Simulation): void {
  const { world } = simulation;
  const budget = 2;
  const options = { connectBudget: budget, latency: 5, spread: 30 };
  const [server, ...clients] = drawHosts(simulation, 3, options) as [Host, ...Host[]];
  simulation.onEnd = (end: ProgramEnd) => {
    end.read();
    end.write([1 + world.pick(100)]);
  };
  listenEverywhere(simulation, server, drawPolicy(world));
  for (let i = 0; i < 3; i++) {
    world.schedule(() => server.process.block(budget * 1000 - 200 + world.pick(400)), i * 3000);
    for (const client of clients) {
      client.process.schedule(() => simulation.connect(client, server.name(port)), i * 3000 + world.pick(200));
    }
  }
  finishRun(simulation, 20_000);
}

/** The program cannot decide yet: requests wait, time out or lose their listener meanwhile (WSD-ACC-10). */
function deferredAccept(simulation: Simulation): void {
  const { world } = simulation;
  const [server, client] = drawHosts(simulation, 2) as [Host, Host];
  const habits = drawHabits(world);
  simulation.onEnd = (end) => behave(end, world, habits);
  const deferMicroseconds = 1 + world.pick(world.chance(0.5) ? 500 : 40_000);
  const reject = world.random() * 0.3;
  const listener = listenEverywhere(simulation, server, {
    reject,
    defer: 0.7,
    deferMicroseconds,
    sanBacklog: 4,
    unlisten: 0.02,
  });
  connectSeveral(simulation, server, [client], 4, 2000);
  if (world.chance(0.3)) server.process.schedule(() => simulation.unlisten(listener), world.pick(deferMicroseconds));
  finishRun(simulation, 60_000);
}

/** The acceptor's receive buffers are in place only after the negotiation message has come (WSD-NEG-8 to WSD-NEG-12). */
function lateReceiveBuffers(simulation: Simulation): void {
  const { world } = simulation;
  const options = { latency: 2, spread: 5 };
  const client = simulation.host([{ ...drawOptions(world), ...options }], drawFaults(world, simulation.strength));
  const server = simulation.host([{ ...drawOptions(world), ...options }], {
    ...noFaults,
    latePost: 0.9,
    latePostMicroseconds: 2000,
    withdrawal: 0.05,
  });
  const habits = drawHabits(world);
  simulation.onEnd = (end) => behave(end, world, habits);
  listenEverywhere(simulation, server, acceptAll);
  connectSeveral(simulation, server, [client], 4, 200);
  disturb(simulation, [client, server], 2000);
  finishRun(simulation, 20_000);
}

/** A program writes, ends its sending or closes, and calls process.exit: its peer gets all of it (WSD-CLS-6). */
function processExit(simulation: Simulation): void {
  const { world } = simulation;
  const [server, client] = drawHosts(simulation, 2, { latency: 5, spread: 20 }) as [Host, Host];
  listenEverywhere(simulation, server, acceptAll);
  let exits = false;
  simulation.onEnd = (end) => {
    end.read();
    if (end.process === server.process) return;
    for (let i = world.pick(12); i >= 0; i--) end.write([1 + world.pick(world.chance(0.5) ? 200 : 40_000)]);
    const last = [() => end.finish(), () => end.close(), () => {}];
    last[world.pick(last.length)]!();
    if (exits) return;
    exits = true;
    end.process.schedule(() => {
      world.mark('scenario: exit');
      if (end.hasUnsent) world.mark('scenario: exit with bytes unsent');
      // The end of a process ends all it has written.
      for (const { client: sender } of simulation.attempts) if (sender !== null) sender.out.finished = true;
      client.exit();
    }, world.pick(200));
  };
  connectSeveral(simulation, server, [client], 1 + world.pick(3), 100);
  finishRun(simulation, 20_000);
  if (simulation.lostResources([server, client])) return;
  for (const { client: sender, server: receiver } of simulation.attempts) {
    // Closing with a block under way is a reset.
    if (sender === null || sender.wasReset) continue;
    const { received = 0, written = 0 } = receiver?.incoming ?? {};
    const cut = `${sender.name} has exited, and ${received} of ${written} bytes arrived`;
    if (receiver?.ended === true) check(received === written, cut);
    else check(world.marks.has('program: exit took too long'), `${cut}, with an error`);
  }
}

/** Blocks in both directions, with small messages between them; programs pause, end, close, reset, exit or are killed meanwhile. */
function largeTransfers(simulation: Simulation): void {
  const { world } = simulation;
  const rdmaThreshold = 1 + world.pick(100_000);
  const hosts = drawHosts(simulation, 2, { rdmaThreshold, latency: 1 + world.pick(100) }) as [Host, Host];
  const [server, client] = hosts;
  listenEverywhere(simulation, server, acceptAll);
  const last = ['finish', 'close', 'reset', 'nothing'] as const;
  const within = 1 + world.pick(world.chance(0.5) ? 500 : 20_000);
  const largest = 200_000 + world.pick(1_500_000);
  simulation.onEnd = (end) => {
    const { process } = end;
    if (world.chance(0.8)) end.read();
    let left = 1 + world.pick(6);
    const write = (): void => {
      if (end.closed || end.calm || left-- <= 0) return;
      if (world.chance(0.4)) end.write([1 + world.pick(largest)]);
      else if (world.chance(0.3)) end.write([1 + world.pick(300), 1 + world.pick(largest), 1 + world.pick(300)]);
      else end.write([1 + world.pick(2000)]);
      process.schedule(write, world.pick(within));
    };
    write();
    const moment = (): number => world.pick(3 * within);
    if (world.chance(0.5)) process.schedule(() => end.pause(), moment());
    if (world.chance(0.5)) process.schedule(() => end.read(), moment());
    const how = last[world.pick(last.length)];
    if (how === 'finish') process.schedule(() => end.finish(), moment());
    else if (how === 'close') process.schedule(() => end.close(), moment());
    else if (how === 'reset' && world.chance(0.5)) process.schedule(() => end.reset(), moment());
  };
  connectSeveral(simulation, server, [client], 1 + world.pick(3), 100);
  disturb(simulation, hosts, 3 * within);
  finishRun(simulation, 4 * within);
}

/** A program writes blocks and calls process.exit while they are offered, granted or under way: none of it is lost (WSD-CLS-6). */
function exitDuringTransfer(simulation: Simulation): void {
  const { world } = simulation;
  const options = { rdmaThreshold: 5000, latency: 1 + world.pick(50) };
  const [server, client] = drawHosts(simulation, 2, options) as [Host, Host];
  listenEverywhere(simulation, server, acceptAll);
  let exits = false;
  simulation.onEnd = (end) => {
    if (end.process === server.process) {
      // It may begin to read only when the other process is about to go.
      if (world.chance(0.7)) end.read();
      else end.process.schedule(() => end.read(), world.pick(5000));
      return;
    }
    end.read();
    for (let i = world.pick(4); i >= 0; i--) end.write([1 + world.pick(world.chance(0.3) ? 200 : 600_000)]);
    if (world.chance(0.5)) end.finish();
    if (exits) return;
    exits = true;
    end.process.schedule(() => {
      if (end.connection.writeQueueSize > 0) world.mark('scenario: exit with a block under way');
      for (const { client: sender } of simulation.attempts) if (sender !== null) sender.out.finished = true;
      client.exit();
    }, world.pick(1000));
  };
  connectSeveral(simulation, server, [client], 1 + world.pick(2), 100);
  finishRun(simulation, 20_000);
  if (simulation.lostResources([server, client])) return;
  for (const { client: sender, server: receiver } of simulation.attempts) {
    // Closing with a block under way is a reset.
    if (sender === null || sender.wasReset) continue;
    const { received = 0, written = 0 } = receiver?.incoming ?? {};
    const cut = `${sender.name} has exited, and ${received} of ${written} bytes arrived`;
    if (receiver?.ended === true) check(received === written, cut);
    else check(world.marks.has('program: exit took too long'), `${cut}, with an error`);
  }
}

/** Microseconds after which a negotiation has been given up (WSD-NEG-16). */
const negotiationMax = 20_000_000;

/** The acceptor stops for a minute at any moment of the handshake: no connect waits that long. */
function stoppedPeer(simulation: Simulation): void {
  const { world } = simulation;
  const [server, client] = drawHosts(simulation, 2, { latency: 20, spread: 50, connectBudget: 50 }) as [Host, Host];
  listenEverywhere(simulation, server, acceptAll);
  simulation.onEnd = (end) => end.write([1 + world.pick(100)]);
  connectSeveral(simulation, server, [client], 4, 300);
  world.schedule(() => server.process.stop(), world.pick(500));
  world.runUntil(() => false, 60_000_000);
  for (const attempt of simulation.attempts) {
    check(attempt.outcome !== null, `${attempt.name} waits for a process that has stopped`);
    check(attempt.took < negotiationMax + 1_000_000, `${attempt.name} took ${attempt.took} microseconds`);
    if (attempt.took > 1_000_000) world.mark('scenario: a negotiation took too long');
  }
  finishRun(simulation, 1);
}

/** Connections whose ends move between processes, both at once now and then, while programs use them (WSD-DUP-33). */
function movingEnds(simulation: Simulation): void {
  const { world } = simulation;
  const habits = drawHabits(world);
  const groups = [1, 2].map((number) => {
    const options = { ...drawOptions(world), revives: world.chance(0.3), addresses: [`10.1.0.${number}/24`] };
    return sameHost(options, 2 + world.pick(2)).map((nic) =>
      simulation.host([nic], drawFaults(world, simulation.strength)),
    );
  });
  const [servers, clients] = groups as [Host[], Host[]];
  simulation.movers.push(...servers, ...clients);
  const gap = 1 + world.pick(world.chance(0.5) ? 500 : 10_000);
  const both = world.chance(0.5);
  simulation.onEnd = (end) => {
    behave(end, world, habits);
    if (both || end.process === clients[0]!.process) wander(simulation, end, groups, gap);
  };
  listenEverywhere(simulation, servers[0]!, acceptAll);
  connectSeveral(simulation, servers[0]!, [clients[0]!], 1 + world.pick(4), 300);
  disturb(simulation, [...servers, ...clients], 5000);
  finishRun(simulation, 30_000);
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  swarm,
  'close-during-handshake': closeDuringHandshake,
  'close-during-delivery': closeDuringDelivery,
  'provider-death-during-close': providerDeathDuringClose,
  'query-during-abort': queryDuringAbort,
  'both-saturated-and-paused': bothSaturatedAndPaused,
  'withdrawal-while-blocked': withdrawalWhileBlocked,
  'deferred-accept': deferredAccept,
  'late-receive-buffers': lateReceiveBuffers,
  'process-exit': processExit,
  'large-transfers': largeTransfers,
  'exit-during-transfer': exitDuringTransfer,
  'stopped-peer': stoppedPeer,
  'moving-ends': movingEnds,
  'providers-come-and-go': providersComeAndGo,
};
