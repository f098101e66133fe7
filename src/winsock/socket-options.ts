/** Options as a socket's record keeps them. */

/** SO_LINGER. */
export interface LINGER {
  readonly l_onoff: boolean;
  /** Seconds. */
  readonly l_linger: number;
}

/** An option that the program has set. */
export interface SetOption {
  readonly level: number;
  readonly name: number;
  readonly value: number;
}
