/**
 * What a program of the bench reads and prints. A server has its options as JSON in the first argument and prints
 * {@link ServerReady}, then {@link Totals} when its standard input ends. A client reads {@link ClientOptions} from standard
 * input and prints one {@link ClientResult}. All of it is JSON, one object per line.
 */

export interface ServerReady {
  port: number;
  pid: number;
}

/** What crossed the connections, counted by one side. Both sides must agree, or the measurement has failed. */
export interface Totals {
  bytes: number;
  connections: number;
  requests: number;
}

export interface ClientOptions {
  port: number;
  /** For the processor time of both processes together. */
  serverPid: number;
  /** Not measured: compilation, growth of buffers, adaptation. */
  warmupMs: number;
  measureMs: number;
  /** Meaning depends on the program: bytes in a write, simultaneous connections, pause between round trips. */
  size: number;
  connections: number;
  thinkMs: number;
}

export interface ClientResult {
  metrics: Record<string, number>;
  sent: Totals;
  /** TCP sockets on the server's port that the kernel knew at the end: tells what really carried the bytes. */
  kernelSockets: number;
}
