/** `echo-server.js [LISTEN OPTIONS] [maxConnections]`: gives back what it gets, and tells of each connection. */

import net from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { carrier, listen, onOrder, report } from './support.js';

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  const { provider } = carrier(socket);
  const { remoteAddress, remoteFamily, remotePort, localAddress, localPort } = socket;
  report('connection', { provider, remoteAddress, remoteFamily, remotePort, localAddress, localPort });
  socket.pipe(socket);
  socket.on('error', (error: NodeJS.ErrnoException) => report('error', { code: error.code, time: Date.now() }));
  socket.on('close', () => report('closed', { bytes: socket.bytesRead, time: Date.now() }));
});
server.on('drop', () => report('drop'));
server.on('close', () => report('server closed'));
const [options = '', most] = process.argv.slice(2);
if (most !== undefined) server.maxConnections = Number(most);
onOrder('close', () => server.close());
/** Keeps the event loop from turning. */
onOrder('block', ({ milliseconds }) => {
  report('blocking');
  const end = performance.now() + Number(milliseconds);
  while (performance.now() < end);
});
/** Tells, when asked again, for how long the event loop did not turn at most. */
const delays = monitorEventLoopDelay({ resolution: 5 });
onOrder('watch', () => {
  report('watched', { longest: delays.max / 1e6 });
  delays.reset();
  delays.enable();
});
await listen(server, options === '' ? undefined : (JSON.parse(options) as net.ListenOptions));
