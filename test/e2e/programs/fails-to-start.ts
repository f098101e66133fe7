/** A provider that never starts. */

import { type SanServiceProvider, WSAEPROVIDERFAILEDINIT } from '../../../src/spi/index.js';
import lab from './lab-provider.js';

const provider: SanServiceProvider = {
  name: 'fails',
  protocolInfo: { ...lab.protocolInfo, ProviderId: '00000000-0000-0000-0000-000000000004' },
  WSPStartupEx: () => WSAEPROVIDERFAILEDINIT,
};

export default provider;
