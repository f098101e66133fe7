/** What the demo may ask its client to do. */
export type Command =
  | { do: 'get'; path: string }
  | { do: 'latency'; path: string; ms: number }
  | { do: 'load'; path: string; ms: number; connections: number };

/** What the server of the refusal may be told to answer to its next caller. */
export type Verdict = 'accept' | 'reject' | 'defer';
