/** Starting SAN service providers and fetching their extensions (section 3 of the digest). */

import {
  AF_INET,
  type ExtensionFunctions,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type Out,
  ProviderDiagnosticsGuid,
  ProviderMemoryGuid,
  type ProviderSocket,
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

/** A provider that has been started, with all that the switch knows of it. */
export interface StartedProvider {
  readonly name: string;
  readonly catalogEntryId: number;
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

/** Why a provider was left out (WSD-INI-18): a Winsock error, or the GUID of a mandatory extension that is missing. */
export interface StartFailure {
  readonly wsaError: number;
  readonly missing: string | null;
}

function isFailure(value: unknown): value is StartFailure {
  return typeof value === 'object' && value !== null && 'wsaError' in value;
}

/** WSPStartupEx, the helper socket, the address list and the extensions, in the order of the documents' figure. */
export function startProvider(
  provider: SanServiceProvider,
  tcpip: WSAPROTOCOL_INFO,
  upcalls: WSPUPCALLTABLEEX,
  cachedMemory: CachedMemory,
): StartedProvider | StartFailure {
  const data: WSPDATA = { wVersion: 0, wHighVersion: 0, szDescription: '' };
  const out: Out<WSPPROC_TABLE | null> = { value: null };
  const error = provider.WSPStartupEx(WINSOCK_VERSION, data, tcpip, upcalls, out);
  if (error !== 0 || out.value === null) return { wsaError: error || WSAEFAULT, missing: null };
  const table = out.value;
  const errno: Out<number> = { value: 0 };
  const started = useHelperSocket(provider, table, cachedMemory, errno);
  if (isFailure(started)) table.WSPCleanup(errno);
  return started;
}

function useHelperSocket(
  provider: SanServiceProvider,
  table: WSPPROC_TABLE,
  cachedMemory: CachedMemory,
  errno: Out<number>,
): StartedProvider | StartFailure {
  const helper = helperSocket(table, errno);
  if (helper === null) return { wsaError: errno.value, missing: null };
  try {
    const addresses = addressList(table, helper, errno);
    if (addresses === null) return { wsaError: errno.value, missing: null };
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
    const extensions = fetchExtensions(fetch);
    if (typeof extensions === 'string') return { wsaError: errno.value, missing: extensions };
    const limit = (name: number): number => {
      const size: Out<number> = { value: 0 };
      const limited = table.WSPGetSockOpt(helper, SOL_SOCKET, name, size, { value: 4 }, errno) === 0;
      return limited ? size.value : Number.POSITIVE_INFINITY;
    };
    return {
      name: provider.name,
      catalogEntryId: provider.protocolInfo.dwCatalogEntryId,
      table,
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
  return (list.value as SOCKET_ADDRESS_LIST).Address;
}

/** All extensions, or the GUID of a mandatory one that is missing (WSD-INI-13, WSD-INI-14). */
function fetchExtensions(fetch: (guid: string) => unknown): ExtensionFunctions | string {
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
    if (found[name] === null) return guid;
  }
  for (const [name, guid] of Object.entries(optional)) found[name] = fetch(guid);
  return found as unknown as ExtensionFunctions;
}

export { isFailure };
