/**
 * A provider as a user might install it: shared memory that goes by another name, has a meeting place of its own, and serves
 * one address only, 127.77.0.1, for which it is preferred because nobody else serves so little.
 */

import { join } from 'node:path';
import { SharedMemoryProvider } from '../../../src/providers/shared-memory/provider.js';
import {
  AF_INET,
  type Out,
  type SanServiceProvider,
  SIO_ADDRESS_LIST_QUERY,
  type WSPPROC_TABLE,
} from '../../../src/spi/index.js';

export const labId = '11111111-2222-3333-4444-5555AAAABBBB';
export const labAddress = '127.77.0.1';

const inner = new SharedMemoryProvider({
  environment: { SOCKETS_DIRECT_DIR: join(process.env.SOCKETS_DIRECT_DIR ?? '', 'lab') },
  now: () => performance.now() * 1000,
  random: Math.random,
  count: () => {},
  connectBudget: 5000,
  scheduler: {
    soon: (task) => {
      setImmediate(task);
    },
    later: (task, milliseconds) => {
      const timer = setTimeout(task, milliseconds).unref();
      return () => clearTimeout(timer);
    },
  },
});

function atLab(table: WSPPROC_TABLE): WSPPROC_TABLE {
  return {
    ...table,
    WSPIoctl: (...args) => {
      const result = table.WSPIoctl(...args);
      if (result !== 0 || args[1] !== SIO_ADDRESS_LIST_QUERY) return result;
      const list = args[4] as Out<unknown>;
      const lpSockaddr = { sa_family: AF_INET, address: labAddress, port: 0 };
      list.value = { iAddressCount: 1, Address: [{ lpSockaddr, iSockaddrLength: 16, prefixLength: 32 }] };
      return 0;
    },
  };
}

const provider: SanServiceProvider = {
  name: 'lab',
  protocolInfo: { ...inner.protocolInfo, ProviderId: labId, szProtocol: 'Lab network' },
  WSPStartupEx: (version, data, tcpip, upcalls, table) => {
    const result = inner.WSPStartupEx(version, data, tcpip, upcalls, table);
    if (table.value !== null) table.value = atLab(table.value);
    return result;
  },
};

export default provider;
