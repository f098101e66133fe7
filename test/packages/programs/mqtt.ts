/** mqtt.js and the broker aedes: all levels of service, retained messages, wildcards, a last will, large messages. */

import { once } from 'node:events';
import net from 'node:net';
import { Aedes } from 'aedes';
import mqtt, { type MqttClient } from 'mqtt';
import { bytes, closed, compared, fact, host, listen, play } from './side.js';

const MiB = 1 << 20;

async function server() {
  const broker = await Aedes.createBroker();
  const listening = net.createServer(broker.handle);
  const close = async (): Promise<void> => {
    const done = closed(listening);
    await new Promise<void>((resolve) => broker.close(() => resolve()));
    await done;
  };
  return { port: await listen(listening), close };
}

class Inbox {
  readonly #got: { topic: string; payload: Buffer; retain: boolean }[] = [];
  #wake: () => void = () => {};

  constructor(client: MqttClient) {
    client.on('message', (topic, payload, { retain }) => {
      this.#got.push({ topic, payload, retain });
      this.#wake();
    });
  }

  async take(count: number): Promise<{ topic: string; payload: Buffer; retain: boolean }[]> {
    while (this.#got.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#got.splice(0, count);
  }
}

async function client(port: number): Promise<void> {
  const url = `mqtt://${host}:${port}`;
  const connect = (clientId: string, options: mqtt.IClientOptions = {}): Promise<MqttClient> =>
    mqtt.connectAsync(url, { clientId, reconnectPeriod: 0, ...options });
  const [reader, writer] = [await connect('reader'), await connect('writer')];
  const inbox = new Inbox(reader);

  for (const qos of [0, 1, 2] as const) {
    await reader.subscribeAsync(`level/${qos}/+`, { qos });
    const sent = Array.from({ length: 100 }, (_, i) => bytes(i * 20, i));
    await Promise.all(sent.map((payload, i) => writer.publishAsync(`level/${qos}/${i}`, payload, { qos })));
    const got = await inbox.take(100);
    const right = got.filter(({ topic, payload }, i) => topic === `level/${qos}/${i}` && payload.equals(sent[i]!));
    fact(`level ${qos}: ${right.length} of 100 in order`);
  }

  const large = bytes(5 * MiB, 23);
  await reader.subscribeAsync('large');
  await writer.publishAsync('large', large, { qos: 1 });
  fact(`large: ${compared((await inbox.take(1))[0]!.payload, large)}`);

  await writer.publishAsync('state', 'kept', { retain: true, qos: 1 });
  await reader.subscribeAsync('state');
  const [kept] = await inbox.take(1);
  fact(`retained: ${kept!.payload} ${kept!.retain}`);

  await reader.subscribeAsync('wills/#');
  const doomed = await connect('doomed', {
    will: { topic: 'wills/doomed', payload: Buffer.from('gone'), qos: 1, retain: false },
  });
  doomed.on('error', () => {});
  doomed.stream.destroy();
  const [will] = await inbox.take(1);
  fact(`last will: ${will!.topic} ${will!.payload}`);

  const first = await connect('twice');
  const replaced = once(first as unknown as NodeJS.EventEmitter, 'close');
  const second = await connect('twice');
  await replaced;
  fact('a second client of the same name replaces the first');
  for (const one of [reader, writer, second]) await one.endAsync();
}

await play({ server, client });
