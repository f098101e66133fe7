/**
 * Starting SAN service providers and fetching their extensions (section 3 of the digest). A provider may be anybody's module,
 * so until it has been started nothing that it does is taken for granted.
 */

import { isIP } from 'node:net';
import {
  AF_INET,
  AF_INET6,
  type ExtensionFunctions,
  errorName,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type Out,
  ProviderDiagnosticsGuid,
  ProviderMemoryGuid,
  type ProviderSocket,
  procedureNames,
  type SanServiceProvider,
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SO_MAX_MSG_SIZE,
  SO_MAX_RDMA_SIZE,
  SO_RDMA_THRESHOLD_SIZE,
  SOCK_STREAM,
  type SOCKET_ADDRESS,
  type SOCKET_ADDRESS_LIST,
  SOL_SOCKET,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  WSAEFAULT,
  type WSAPROTOCOL_INFO,
  type WSPDATA,
  WSPDeregisterMemoryGuid,
  WSPDeregisterRdmaMemoryGuid,
  WSPMemoryRegistrationCacheCallbackGuid,
  type WSPPROC_TABLE,
  WSPRdmaReadGuid,
  WSPRdmaWriteGuid,
  WSPRegisterMemoryGuid,
  WSPRegisterRdmaMemoryGuid,
  type WSPUPCALLTABLEEX,
} from '../spi/index.js';

import type { CachedMemory } from './cached-memory.js';
import type { Guard } from './guard.js';

/** A provider that has been started, with all that the switch knows of it. */
export interface StartedProvider {
  readonly name: string;
  readonly catalogEntryId: number;
  readonly protocolInfo: WSAPROTOCOL_INFO;
  readonly table: WSPPROC_TABLE;
  readonly extensions: ExtensionFunctions;
  readonly addresses: readonly SOCKET_ADDRESS[];
  /** SO_MAX_MSG_SIZE, SO_MAX_RDMA_SIZE and SO_RDMA_THRESHOLD_SIZE in bytes (WSD-OPT-2); infinity where there is none. */
  readonly messageSizeMax: number;
  readonly rdmaSizeMax: number;
  readonly rdmaThreshold: number;
  /** Told when memory goes away that was registered. */
  readonly cachedMemory: CachedMemory;
}

/** Why a provider was left out (WSD-INI-18). */
export class StartFailure extends Error {
  override readonly name = 'StartFailure';

  readonly reason: 'provider-failed' | 'provider-invalid';

  constructor(message: string, reason: StartFailure['reason'] = 'provider-failed', options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

function fail(call: string, wsaError: number): never {
  throw new StartFailure(`${call}: ${errorName(wsaError)}`);
}

/**
 * WSPStartupEx, the helper socket, the address list and the extensions, in the order of the documents' figure. Throws
 * StartFailure; the provider has been cleaned up then, if it was started.
 */
export function startProvider(
  provider: SanServiceProvider,
  tcpip: WSAPROTOCOL_INFO,
  upcalls: WSPUPCALLTABLEEX,
  cachedMemory: CachedMemory,
  guard: Guard | null,
): StartedProvider {
  const data: WSPDATA = { wVersion: 0, wHighVersion: 0, szDescription: '' };
  const out: Out<WSPPROC_TABLE | null> = { value: null };
  try {
    const error: unknown = provider.WSPStartupEx(WINSOCK_VERSION, data, tcpip, guard?.upcalls(upcalls) ?? upcalls, out);
    if (error !== 0) fail('WSPStartupEx', typeof error === 'number' ? error : WSAEFAULT);
    const missing = procedureNames.filter((name) => typeof out.value?.[name] !== 'function');
    if (missing.length > 0) throw new StartFailure(`no ${missing.join(', ')}`);
    return useHelperSocket(provider, out.value!, cachedMemory, guard, { value: 0 });
  } catch (error) {
    cleanUp(out.value, error);
    throw asFailure(error);
  }
}

function asFailure(error: unknown): StartFailure {
  return error instanceof StartFailure
    ? error
    : new StartFailure(`it throws: ${error}`, 'provider-failed', { cause: error });
}

function cleanUp(table: WSPPROC_TABLE | null, fault: unknown): void {
  try {
    table?.WSPCleanup({ value: 0 });
  } catch (cause) {
    throw new StartFailure(`${asFailure(fault).message}; WSPCleanup throws`, 'provider-failed', { cause });
  }
}

function useHelperSocket(
  provider: SanServiceProvider,
  table: WSPPROC_TABLE,
  cachedMemory: CachedMemory,
  guard: Guard | null,
  errno: Out<number>,
): StartedProvider {
  const helper = helperSocket(table, errno);
  if (helper === null) fail('WSPSocket', errno.value);
  try {
    const addresses = addressList(table, helper, errno);
    if (addresses === null) fail('SIO_ADDRESS_LIST_QUERY', errno.value);
    const fetch = (guid: string): unknown => {
      const pointer: Out<unknown> = { value: null };
      const returned: Out<number> = { value: 0 };
      const result = table.WSPIoctl(
        helper,
        SIO_GET_EXTENSION_FUNCTION_POINTER,
        guid,
        16,
        pointer,
        8,
        returned,
        null,
        null,
        null,
        errno,
      );
      return result === 0 ? pointer.value : null;
    };
    const fetched = fetchExtensions(fetch);
    const extensions = guard?.extensions(fetched) ?? fetched;
    const limit = (name: number): number => {
      const size: Out<number> = { value: 0 };
      const limited = table.WSPGetSockOpt(helper, SOL_SOCKET, name, size, { value: 4 }, errno) === 0;
      return limited ? size.value : Number.POSITIVE_INFINITY;
    };
    return {
      name: provider.name,
      catalogEntryId: provider.protocolInfo.dwCatalogEntryId,
      protocolInfo: provider.protocolInfo,
      table: guard?.table(table) ?? table,
      extensions: cachedMemory.watch(extensions),
      addresses,
      messageSizeMax: limit(SO_MAX_MSG_SIZE),
      rdmaSizeMax: Math.max(1, limit(SO_MAX_RDMA_SIZE)),
      rdmaThreshold: limit(SO_RDMA_THRESHOLD_SIZE),
      cachedMemory,
    };
  } finally {
    table.WSPCloseSocket(helper, errno);
  }
}

function helperSocket(table: WSPPROC_TABLE, errno: Out<number>): ProviderSocket | null {
  const socket = table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, errno);
  return socket === INVALID_SOCKET ? null : socket;
}

/** The addresses that a provider serves, by a helper socket (WSD-INI-11, WSD-TBL-1); null with the error. */
export function queryAddresses(table: WSPPROC_TABLE, errno: Out<number>): readonly SOCKET_ADDRESS[] | null {
  const helper = helperSocket(table, errno);
  if (helper === null) return null;
  const addresses = addressList(table, helper, errno);
  table.WSPCloseSocket(helper, { value: 0 });
  return addresses;
}

function addressList(
  table: WSPPROC_TABLE,
  helper: ProviderSocket,
  errno: Out<number>,
): readonly SOCKET_ADDRESS[] | null {
  const returned: Out<number> = { value: 0 };
  const list: Out<unknown> = { value: null };
  const query = (size: number) =>
    table.WSPIoctl(helper, SIO_ADDRESS_LIST_QUERY, null, 0, list, size, returned, null, null, null, errno);
  // The first call learns the size (WSD-TBL-3).
  if (query(0) !== 0 && (errno.value !== WSAEFAULT || query(returned.value) !== 0)) return null;
  const addresses = (list.value as SOCKET_ADDRESS_LIST | null)?.Address;
  if (Array.isArray(addresses) && addresses.every(isEntry)) return addresses;
  errno.value = WSAEFAULT;
  return null;
}

/** The table of subnets takes nothing else. */
function isEntry({ lpSockaddr: { sa_family, address }, prefixLength }: SOCKET_ADDRESS): boolean {
  const bits = isIP(address) === 6 ? 128 : 32;
  return (
    isIP(address) !== 0 &&
    sa_family === (bits === 128 ? AF_INET6 : AF_INET) &&
    (prefixLength === undefined || (Number.isInteger(prefixLength) && prefixLength >= 0 && prefixLength <= bits))
  );
}

/** All extensions; throws StartFailure if a mandatory one is missing (WSD-INI-13, WSD-INI-14). */
function fetchExtensions(fetch: (guid: string) => unknown): ExtensionFunctions {
  const mandatory = {
    WSPRegisterMemory: WSPRegisterMemoryGuid,
    WSPDeregisterMemory: WSPDeregisterMemoryGuid,
    WSPRegisterRdmaMemory: WSPRegisterRdmaMemoryGuid,
    WSPDeregisterRdmaMemory: WSPDeregisterRdmaMemoryGuid,
    WSPRdmaWrite: WSPRdmaWriteGuid,
  };
  const optional = {
    WSPRdmaRead: WSPRdmaReadGuid,
    WSPMemoryRegistrationCacheCallback: WSPMemoryRegistrationCacheCallbackGuid,
    providerMemory: ProviderMemoryGuid,
    diagnostics: ProviderDiagnosticsGuid,
  };
  const found: Record<string, unknown> = {};
  for (const [name, guid] of Object.entries(mandatory)) {
    found[name] = fetch(guid);
    if (typeof found[name] !== 'function') throw new StartFailure(`no ${name}, which is mandatory`);
  }
  for (const [name, guid] of Object.entries(optional)) found[name] = fetch(guid);
  return found as unknown as ExtensionFunctions;
}
