/** What to do about a reason, for people: in `sockets-direct doctor` and in docs/troubleshooting.md, which a test keeps equal. */

import type { Reason } from './reasons.js';

export const advice: Readonly<Record<Reason, string>> = {
  accelerated: 'Nothing.',
  'off-by-environment': 'Remove the variable.',
  'denied-by-policy': 'A rule of `SOCKETS_DIRECT_POLICY` or `SOCKETS_DIRECT_DENY` wants it so.',
  'policy-invalid':
    'Standard error of the program and `doctor` tell which line cannot be read. Until it is mended everything stays on TCP/IP.',
  'runtime-untested':
    'Use Node.js 20, 22, 24 or 26. Others are left alone on purpose, because the drop-in relies on parts of Node.js that may change.',
  'platform-unsupported': 'Linux on x64 with glibc is. In an Alpine container (musl), use an image with glibc.',
  'internals-unavailable':
    'Another preload may have replaced `net`, or Node.js was started with a flag that hides its internals. Try without them.',
  'ffi-unavailable':
    'Install without `--omit=optional`. Under the permission model, addons have to be allowed. A bundler has to leave koffi outside of the bundle.',
  'memory-unavailable':
    'Look for a seccomp profile that forbids `memfd_create`, and for a limit on memory (`ulimit -v`, cgroup).',
  'user-unknown': 'Map the user in the user namespace of the container.',
  'rendezvous-absent': 'Set `SOCKETS_DIRECT_DIR` to a directory whose parent exists.',
  'rendezvous-unsafe': 'Give it to the user, with mode 0700, or set `SOCKETS_DIRECT_DIR`.',
  'rendezvous-unavailable':
    'Is the file system read-only or full? Set `SOCKETS_DIRECT_DIR` to a place that can be written.',
  'no-provider': '`doctor` says which step fails.',
  'catalog-invalid':
    'Standard error and `doctor` tell which line of the file that `SOCKETS_DIRECT_PROVIDERS` names cannot be read.',
  'provider-untrusted':
    'Give the file and its folder to the user that runs the program, or to root, and take the right to write from everybody else.',
  'provider-invalid':
    'Standard error and `status` tell what is wrong. The module has to export a provider whose ProviderId is the one in the catalog.',
  'provider-failed': 'Ask whoever made the provider; standard error and `status` tell which call failed.',
  'addresses-unwatched':
    'Look for a seccomp profile that forbids netlink sockets. Until then a change shows at the next connect or listen, at most a second late.',
  'not-routed': 'The destination is another host, or an address that this host does not have.',
  'no-listener':
    'The usual one: start the server with Sockets Direct as well, as the same user, with the same `SOCKETS_DIRECT_DIR`, and after that the client. Servers that are not Node.js stay on TCP/IP.',
  'peer-gone': 'Look why it ended.',
  'peer-busy': 'Passes; if it does not, many processes connect for the first time at once.',
  'peer-permission': 'A security module (SELinux, AppArmor) may forbid the Unix socket.',
  'peer-unreachable': 'Its Unix socket did not answer; if it goes on, ask `status` about that process.',
  'peer-other-user': 'Run both as one user. This is a matter of trust and cannot be switched off.',
  'peer-other-namespace': 'Containers have to share it (`--network container:NAME`, or one pod).',
  'peer-version': 'Bring both to one version of the package.',
  'peer-protocol': 'A bug, or something that is not Sockets Direct. Find out what that process is.',
  'link-violation': 'The same, for everything between the two processes.',
  'arena-unsafe': 'The same, before anything was connected.',
  'peer-closing': 'Nothing.',
  'link-limit': 'Close idle connections, or share them (keep-alive).',
  'connect-timeout':
    'The event loop of the server was blocked for more than 50 ms, or the machine is overloaded. Look for long synchronous work in the server. A slow machine may need a larger `SOCKETS_DIRECT_CONNECT_BUDGET`.',
  'negotiation-failed': 'The peer ended or stopped right after it had accepted.',
  'resources-exhausted': 'Raise `ulimit -n`; look for sockets that are never closed.',
  'provider-error': 'Record what happened with `SOCKETS_DIRECT_TRACE` and report it.',
  refused: 'The server said no, or it closed its socket; TCP/IP would have been refused as well.',
  'tls-over-connecting-socket': "Start TLS after `'connect'`, or let `tls.connect` make the socket.",
  'http2-callback-depth':
    'HTTP/2 over TLS is left to TCP/IP. HTTP/2 without TLS, and HTTP/1.1 over TLS, are not; a client that offers only HTTP/1.1 is accelerated.',
  'listener-not-a-server': 'Something listens on the bare handle of Node.js; that is left to TCP/IP.',
  'cluster-distribution':
    'Workers of a cluster are served by TCP/IP. Let each listen on a port of its own, or use `exclusive`.',
  'bound-elsewhere': 'The program used `localAddress`. Leave it out, or use an address of this host.',
  'accepted-by-tcpip':
    "Seen at servers: the client does not run Sockets Direct, or had a reason of its own. Ask the client's process.",
  'port-shared': 'Listen at one address instead of all of them, or without `reusePort`.',
  relayed: 'Nothing: memory cannot be given to another process, so its bytes are carried to a socket of the kernel.',
  'ipv6-scoped': 'Use another address.',
};
