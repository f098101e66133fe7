/** `import net from 'sockets-direct'` has the types and the names of node:net. */

import assert from 'node:assert/strict';
import stock, * as stockNames from 'node:net';
import { test } from 'node:test';
// biome-ignore format: one line, as a program has it.
import type net from 'sockets-direct';
import {
  type AddressInfo,
  BlockList,
  type connect,
  type createConnection,
  type createServer,
  isIP,
  type NetConnectOpts,
  type Server,
  type ServerOpts,
  type Socket,
} from 'sockets-direct';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Does not compile where two types differ. */
function same<A, B>(_equal: Same<A, B>): void {}

test('types are those of node:net', () => {
  same<typeof net, typeof stock>(true);
  same<net.Socket, stock.Socket>(true);
  same<net.Server, stock.Server>(true);
  same<net.AddressInfo, stock.AddressInfo>(true);
  same<net.TcpNetConnectOpts, stock.TcpNetConnectOpts>(true);
  same<net.BlockList, stock.BlockList>(true);
  same<Socket, stock.Socket>(true);
  same<Server, stock.Server>(true);
  same<AddressInfo, stock.AddressInfo>(true);
  same<NetConnectOpts, stock.NetConnectOpts>(true);
  same<ServerOpts, stock.ServerOpts>(true);
  same<typeof Socket, typeof stock.Socket>(true);
  same<typeof Server, typeof stock.Server>(true);
  same<typeof connect, typeof stock.connect>(true);
  same<typeof createConnection, typeof stock.createConnection>(true);
  same<typeof createServer, typeof stock.createServer>(true);
  // A difference would be seen.
  same<net.Socket, stock.Server>(false);
});

test('everything that node:net exports can be imported, and only what makes sockets is ours', async () => {
  const ours = new Set(['connect', 'createConnection', 'createServer', 'Socket', 'Server', 'Stream', 'default']);
  const names = (await import('sockets-direct')) as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(stockNames)) {
    assert.ok(name in names, name);
    assert.equal(names[name] === value, !ours.has(name), name);
  }
  assert.equal(isIP('::1'), 6);
  assert.equal(BlockList, stock.BlockList);
});
