/** Where in the life of a connection a process dies, or stops: calls of public methods of the compiled package. */

/** Objects whose methods can be a point. */
export type Owner =
  | 'HandshakeChannel'
  | 'LargeReceive'
  | 'LargeSend'
  | 'Links'
  | 'Listener'
  | 'PeerLink'
  | 'Platform'
  | 'ProviderConnection'
  | 'Session'
  | 'SwitchConnection';

export interface Point {
  readonly owner: Owner;
  readonly method: string;
  /** Before the call does anything, or when it has returned. */
  readonly phase: 'before' | 'after';
  /** Only calls with a handshake message of this type, as their first argument or its type. */
  readonly message?: number;
  /** Only calls while this method of the same object runs. */
  readonly within?: string;
  /** At which of its calls. Default: the first. */
  readonly hit?: number;
}

/** What a victim writes down at its point. */
export interface LastWords {
  /** Milliseconds since the epoch, with fractions. */
  readonly time: number;
  /** Bytes of the program that are completely on the wire. */
  readonly sent: number;
  /** Messages wait in memory of its own: then it is not known what is on the wire. */
  readonly waiting: boolean;
}
