/** A process that exposes memory to whoever connects. Arguments: directory, port, bytes, and `off` to let nobody read it. */

import { region } from '../../src/conformance/memory.js';
import { SharedMemoryProvider } from '../../src/providers/shared-memory/provider.js';
import { INVALID_SOCKET, MEM_READ } from '../../src/spi/index.js';
import { until } from '../link/support.js';
import { Node } from '../provider/support.js';
import { realTime } from '../support/real-time.js';

const [directory, port, size, off = ''] = process.argv.slice(2);
const bytes = Number(size);
const provider = new SharedMemoryProvider({
  environment: { SOCKETS_DIRECT_DIR: directory, SOCKETS_DIRECT_PEER_MEMORY: off },
  ...realTime,
  random: () => 0,
  connectBudget: 15_000,
  count: () => {},
});
const node = new Node({ provider, processId: process.pid, address: '127.0.0.1', others: [], kill: () => {} });
const listener = node.listen(Number(port));
process.send!('listening');
await until(() => listener.event.signalled, 'somebody connects', 15_000);
const socket = node.accept(listener);
if (socket === INVALID_SOCKET) throw new Error('nobody was accepted');
const memory = region(bytes);
for (let i = 0; i < bytes; i++) memory.bytes[i] = (i * 31) >>> 3;
const descriptor = new Uint8Array(64);
const length = { value: 64 };
if (node.registerRdma(socket, memory, 0, bytes, MEM_READ, descriptor, length, node.errno) !== 0) throw new Error();
process.send!(Buffer.from(descriptor.subarray(0, length.value)).toString('hex'));
// Its loop has to turn if the kernel does not let others read it.
process.on('message', () => {
  const end = performance.now() + 60_000;
  while (performance.now() < end);
});
