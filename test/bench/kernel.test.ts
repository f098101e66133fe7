import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { connectedSockets, ESTABLISHED, LISTEN, parseOutSegs, parseSockets } from '../../bench/harness/kernel.js';

const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

describe("the kernel's view", () => {
  it('reads ports and states of both families', () => {
    const text = [
      header,
      '   0: 0100007F:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 502 1 0 100 0 0 10 0',
      '  11: 00000000000000000000000001000000:9C40 00000000000000000000000001000000:07E8 01 00000000:00000000 00:00000000',
      '',
    ].join('\n');
    assert.deepEqual(parseSockets(text), [
      { localPort: 2024, remotePort: 0, state: LISTEN },
      { localPort: 40_000, remotePort: 2024, state: ESTABLISHED },
    ]);
  });

  it('finds the column of OutSegs by its name', () => {
    const text = 'Ip: A B\nIp: 1 2\nTcp: InSegs OutSegs RetransSegs\nTcp: 5 77 0\n';
    assert.equal(parseOutSegs(text), 77);
    assert.throws(() => parseOutSegs('Tcp: InSegs\nTcp: 5\n'), /OutSegs/);
  });

  it('sees both ends of a TCP connection of this host', { skip: process.platform !== 'linux' }, async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    assert.deepEqual(connectedSockets(port), []);
    const accepted = once(server, 'connection');
    const socket = net.connect(port, '127.0.0.1');
    await accepted;
    assert.deepEqual(
      connectedSockets(port).map(({ state }) => state),
      [ESTABLISHED, ESTABLISHED],
    );
    socket.destroy();
    server.close();
  });
});
