/** Providers that are broken on purpose: the provider of another subject, with something of it altered on the way. */

import type { Capabilities, Party, Subject } from '../../src/conformance/index.js';
import {
  type Out,
  type SanServiceProvider,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  type WSAPROTOCOL_INFO,
  type WSPPROC_TABLE,
  type WSPUPCALLTABLEEX,
} from '../../src/spi/index.js';

type Extension = (...args: unknown[]) => unknown;

export interface Alterations {
  readonly info?: (info: WSAPROTOCOL_INFO) => WSAPROTOCOL_INFO;
  /** The version that is asked for. */
  readonly version?: (version: number) => number;
  readonly table?: (table: WSPPROC_TABLE) => {
    readonly [Name in keyof WSPPROC_TABLE]?: WSPPROC_TABLE[Name] | undefined;
  };
  readonly upcalls?: (upcalls: WSPUPCALLTABLEEX) => Partial<WSPUPCALLTABLEEX>;
  /** An extension function by its GUID. */
  readonly extension?: readonly [guid: string, alter: (found: Extension) => Extension | null];
  /** What is declared, though it is not so. */
  readonly capabilities?: Partial<Capabilities>;
}

export function altered(subject: Subject, alterations: Alterations): Subject {
  const party = (honest: Party): Party => ({ ...honest, provider: providerOf(honest.provider, alterations) });
  return {
    ...subject,
    capabilities: { ...subject.capabilities, ...alterations.capabilities },
    open: async (options) => {
      const rig = await subject.open(options);
      return { ...rig, server: party(rig.server), client: party(rig.client) };
    },
  };
}

function providerOf(provider: SanServiceProvider, alterations: Alterations): SanServiceProvider {
  const { info, version, table, upcalls, extension } = alterations;
  return {
    name: provider.name,
    protocolInfo: info?.(provider.protocolInfo) ?? provider.protocolInfo,
    WSPStartupEx: (wanted, data, tcpip, given, out) => {
      const seen = { ...given, ...upcalls?.(given) };
      const status = provider.WSPStartupEx(version?.(wanted) ?? wanted, data, tcpip, seen, out);
      if (status === 0 && out.value !== null) {
        const whole = extension === undefined ? out.value : withExtension(out.value, extension);
        out.value = { ...whole, ...table?.(whole) } as WSPPROC_TABLE;
      }
      return status;
    },
  };
}

function withExtension(table: WSPPROC_TABLE, [wanted, alter]: NonNullable<Alterations['extension']>): WSPPROC_TABLE {
  return {
    ...table,
    WSPIoctl: (s, code, input, ...rest) => {
      const result = table.WSPIoctl(s, code, input, ...rest);
      const out: Out<unknown> = rest[1];
      if (result === 0 && code === SIO_GET_EXTENSION_FUNCTION_POINTER && input === wanted) {
        out.value = alter(out.value as Extension);
      }
      return result;
    },
  };
}
