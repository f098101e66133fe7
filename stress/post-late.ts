/**
 * Preload of a server whose receive buffers come late: STRESS_LATE milliseconds after WSPAccept, in which its event loop goes
 * on turning. It tells the test of each message that came before any buffer.
 */

import { packageModule } from './package-under-test.js';

type Method = (this: object, ...args: unknown[]) => unknown;

const { Connection: SwitchConnection } =
  await packageModule<typeof import('../src/switch/connection.js')>('switch/connection');
const { Connection: ProviderConnection } = await packageModule<
  typeof import('../src/providers/shared-memory/connection.js')
>('providers/shared-memory/connection');

const switchMethods = SwitchConnection.prototype as unknown as Record<string, Method>;
const { negotiate } = switchMethods;
switchMethods.negotiate = function (...args) {
  setTimeout(() => negotiate.apply(this, args), Number(process.env.STRESS_LATE));
};

const providerMethods = ProviderConnection.prototype as unknown as Record<string, Method>;
const { receive } = providerMethods;
providerMethods.receive = function (...args) {
  const { postedCount } = this as { readonly postedCount: number };
  if (postedCount === 0) process.send!({ kind: 'early' });
  return receive.apply(this, args);
};
