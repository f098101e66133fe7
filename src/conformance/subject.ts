/** What the author of a provider gives the kit: how to make two that reach each other, and what they can do. */

import type { SanServiceProvider } from '../spi/index.js';

/** What providers may differ in. A scenario that needs what is not declared is not applicable; one that is declared must work. */
export interface Capabilities {
  /** A sender is held back while the peer has posted no receive buffer (WSD-NEG-12). Else: one private buffer (WSD-NEG-13). */
  readonly flowControl: boolean;
  /** WSPRdmaWrite works. Else it is there and fails with WSAEOPNOTSUPP. */
  readonly rdmaWrite: boolean;
  /** WSPRdmaRead is there. */
  readonly rdmaRead: boolean;
  /** Registrations are cached: WSPMemoryRegistrationCacheCallback is there. */
  readonly registrationCache: boolean;
  /** WSPDuplicateSocket works. Else it fails with WSAEOPNOTSUPP. */
  readonly duplication: boolean;
  /** A process can connect to its own listeners. Else the connect ends so that TCP/IP is tried. */
  readonly loopback: boolean;
  /** The two parties of a rig are on different hosts, with addresses of their own. */
  readonly hosts: boolean;
  /** Our extension ProviderMemory is there. */
  readonly providerMemory: boolean;
}
export type Capability = keyof Capabilities;

/** Why a capability that is not declared makes a scenario not applicable. */
export const lacking: Readonly<Record<Capability, string>> = {
  flowControl: 'the provider declares no flow control',
  rdmaWrite: 'the provider declares no RDMA write',
  rdmaRead: 'the provider declares no RDMA read',
  registrationCache: 'the provider declares no registration cache',
  duplication: 'the provider declares no socket duplication',
  loopback: 'the provider declares no connections within a process',
  hosts: 'the provider declares that it joins no hosts',
  providerMemory: 'the provider declares no memory of its own (our extension)',
};

/** Why hardly anything of the contract can be asked of TCP/IP. */
export const noSan =
  'TCP/IP is no SAN provider: it has no messages, no registered memory and no switch handles, and the switch calls it in another form';

/** One provider of a rig: a process of its own, as far as the peer can tell. */
export interface Party {
  readonly provider: SanServiceProvider;
  /** The IPv4 address that scenarios use. */
  readonly address: string;
  /** Further addresses at which it can be reached. The server needs at least one. */
  readonly others: readonly string[];
  /** By which WSPDuplicateSocket names its process. Needed with duplication. */
  readonly processId?: number;
  /** Its process ends without a word: what the kernel would do to its files and sockets is done here. */
  kill(): void;
  /** Its calls find no memory from now on, until the function that is returned is called. Optional. */
  exhaust?(): () => void;
}

/** What a scenario would like. Knobs that a provider does not have are ignored. */
export interface RigOptions {
  /** Milliseconds that a connect may take. */
  readonly connectBudget: number;
  /** Messages take times that differ. */
  readonly jitter?: boolean;
  /** WSPSend stays pending for a while, where a provider can choose. */
  readonly deferredSends?: boolean;
  /** With its registration cache, where a provider can choose. */
  readonly registrationCache?: boolean;
  /** False: RDMA goes by the provider's own wire, even if it could read the memory of the peer's process. */
  readonly peerMemory?: boolean;
  /** With flow control, where a provider can choose. */
  readonly flowControl?: boolean;
}

/** Ways to the transport for the malice part, past the contract: strangers, and peers that lie. All end with the rig. */
export interface Malice {
  /** A connection to where the server waits for peers; it listens on `port` already. Nothing is said on it yet. */
  stranger?(port: number): Promise<RawConnection>;
  /** All that a proper client says on such a connection to ask for a connection to `port`. Needs `stranger`. */
  greeting?(port: number): Uint8Array;
  /** Such a client has joined the server by then and asks for a connection in another way, so nothing arrives to be accepted. */
  readonly greetingOnlyJoins?: boolean;
  /** What a proper client may say once it is accepted, or has joined. Needs `greeting`. */
  messages?(): readonly Uint8Array[];
  /** A peer that has joined as a proper one would, and shares memory with the server, which listens on `port`. */
  liar?(port: number): Promise<Liar>;
}

export interface RawConnection {
  write(bytes: Uint8Array): void;
  /** Somebody has ended it. */
  readonly ended: boolean;
  close(): void;
}

export interface Liar {
  /** Overwrites something of what it shares with the server. `random` is a whole number below its argument. */
  spoil(random: (below: number) => number): void;
  /** The server has cut it off. */
  readonly ended: boolean;
  close(): void;
}

/** A SAN of two parties, made for one scenario. */
export interface Rig {
  readonly server: Party;
  readonly client: Party;
  /** Another process on the client's host. Needed with duplication. */
  readonly next?: Party;
  /** Where another process can join by {@link Subject.join}: a directory, say. */
  readonly place?: string;
  readonly malice?: Malice;
  /** Scenarios use this port and those that follow, a hundred at most. For parties that share their ports with other programs. Default: 40,000. */
  readonly firstPort?: number;
  /** Lets time pass until the condition holds; rejects if it never does. Default: turns of this event loop, up to the time limit. */
  until?(condition: () => boolean, what: string): Promise<void>;
  /** Lets everything arrive that is under way. Default: some turns of this event loop, right for a transport of the local kernel. */
  settle?(): Promise<void>;
  /** Whether TCP/IP of the hosts has the address too (WSD-COMP-17). Default: a TCP server is bound to it. */
  servedByTcpip?(address: string): Promise<boolean>;
  /** Ends all that was made for the rig; both providers have been cleaned up. */
  close(): void;
}

/** A party that another process has joined with. */
export interface Joined {
  readonly party: Party;
  close(): void;
}

/** A provider under test. */
export interface Subject {
  /** As in the report. */
  readonly name: string;
  readonly capabilities: Capabilities;
  /** For TCP/IP itself, to which only those scenarios apply that hold for every carrier. */
  readonly carrier?: 'tcpip';
  /** The module of the provider, as a user imports it (WSD-COMP-13). */
  module(): Promise<Readonly<Record<string, unknown>>>;
  /** Called for every scenario. */
  open(options: RigOptions): Rig | Promise<Rig>;
  /** For a provider that spans processes: joins the SAN of a rig from a process that the kit has started. */
  join?(place: string, options: RigOptions): Joined | Promise<Joined>;
  /** URL of the module whose default export this is (`import.meta.url`), so that other processes can load it. Needed with `join`. */
  readonly url?: string;
  /** Why parts of the kit cannot apply to this provider, for the report. Without a reason they are listed as not tested. */
  readonly notApplicable?: { readonly processes?: string; readonly malice?: string; readonly exhaustion?: string };
  /** How many requests a backlog of SOMAXCONN must hold (WSD-LSN-11). Default: 128. */
  readonly somaxconn?: number;
}

/** The subject as it is; for its types in JavaScript. */
export function defineSubject<S extends Subject>(subject: S): S {
  return subject;
}
