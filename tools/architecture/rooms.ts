/**
 * The rooms of `src/`, and which may import which (ARCHITECTURE.md). Arrows go down only: the program's side knows the
 * switch, the switch knows the session and the contract, providers know the contract and the operating system.
 */

/** Folders of `src/`, one for each provider, and the two files that stand alone. */
export type Room = string;

interface RoomRule {
  /** Rooms of which anything may be imported. Its own is always among them. */
  readonly imports: readonly Room[];
  /** Rooms of which types may be imported. */
  readonly types?: readonly Room[];
}

const tcpip = 'providers/tcpip';

/** A provider is known to nobody but the composition root, apart from the type of the program's TCP/IP socket. */
export const rooms: Readonly<Record<Room, RoomRule>> = {
  'index.ts': { imports: ['register', 'net', 'catalog', 'compose.ts', 'switch', 'diagnostics', 'spi'] },
  cli: {
    imports: [
      'index.ts',
      'status',
      'policy',
      'register',
      'net',
      'compose.ts',
      'conformance',
      'diagnostics',
      'platform',
      'spi',
    ],
  },
  register: { imports: ['net', 'compose.ts', 'platform', 'diagnostics', 'spi'], types: ['switch', tcpip] },
  // The handle that is hooked is the TCP/IP provider's descriptor, so both share what they know of it and of its errors.
  net: { imports: ['compose.ts', 'switch', 'diagnostics', 'spi', 'collections', tcpip] },
  // A Winsock socket *is* the TCP/IP provider's descriptor (WSD-SOC-2), and its accepts and names are that provider's.
  winsock: { imports: ['compose.ts', 'switch', 'diagnostics', 'spi', tcpip] },
  'compose.ts': {
    imports: [
      'switch',
      'session',
      'spi',
      'providers/*',
      'sharing',
      'policy',
      'catalog',
      'status',
      'platform',
      'diagnostics',
    ],
  },
  switch: { imports: ['session', 'spi', 'diagnostics', 'collections'], types: [tcpip] },
  session: { imports: ['spi'] },
  // Each gives the kit what it needs, as a provider of somebody else would.
  'providers/*': { imports: ['spi', 'platform', 'diagnostics', 'collections'], types: ['conformance'] },
  sharing: { imports: ['platform', 'diagnostics'] },
  policy: { imports: [] },
  catalog: { imports: ['spi', 'diagnostics'] },
  status: { imports: ['platform', 'diagnostics'] },
  conformance: { imports: ['spi', 'diagnostics'] },
  platform: { imports: ['diagnostics'] },
  diagnostics: { imports: ['spi'] },
  spi: { imports: [] },
  collections: { imports: [] },
};

/** Packages from npm, and the rooms that may import them. */
export const packages: Readonly<Record<string, readonly Room[]>> = {
  koffi: ['platform'],
  commander: ['cli'],
  'cli-table3': ['cli'],
};

/** Rooms that may touch what Node.js keeps for itself. */
export const privateRooms: readonly Room[] = ['net', tcpip, 'platform'];

/** The room of a file below `src/`: `src/providers/tcpip/socket.ts` is in `providers/tcpip`. */
export function roomOf(path: string): Room {
  const parts = path.split('/').slice(1);
  if (parts[0] === 'providers' && parts.length > 2) return `providers/${parts[1]}`;
  return parts[0] ?? '';
}

/** The key of a room in {@link rooms}; all providers share one rule. */
function ruleOf(room: Room): RoomRule | undefined {
  return rooms[room] ?? (room.startsWith('providers/') ? rooms['providers/*'] : undefined);
}

/** Whether the room has a rule at all. */
export function isRoom(room: Room): boolean {
  return ruleOf(room) !== undefined;
}

/** Whether a file in `from` may import a file in `to`. */
export function mayImport(from: Room, to: Room, typesOnly: boolean): boolean {
  if (from === to) return true;
  const rule = ruleOf(from);
  if (rule === undefined) return false;
  const listed = (list: readonly Room[]): boolean =>
    list.includes(to) || (to.startsWith('providers/') && list.includes('providers/*'));
  return listed(rule.imports) || (typesOnly && listed(rule.types ?? []));
}
