/** What the demo may ask its client to do. */
export type Command =
  | { do: 'get'; path: string }
  | { do: 'latency'; path: string; ms: number }
  | { do: 'load'; path: string; ms: number; connections: number };
