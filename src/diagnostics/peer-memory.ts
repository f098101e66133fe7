/**
 * Whether this event loop reads RDMA memory of a peer straight from the peer's process, and if not, why: then it comes over
 * the ring. Nothing depends on it but speed. A code never changes its meaning.
 */
export const peerMemoryReasons = {
  direct: 'RDMA reads copy straight from the memory of the peer process',
  'not-tried': 'no RDMA read was asked for yet',
  'off-by-environment': 'SOCKETS_DIRECT_PEER_MEMORY=off',
  'off-at-peer': 'the peer does not offer it: SOCKETS_DIRECT_PEER_MEMORY=off there, or an older version',
  'other-pid-namespace': 'the peer is in a process namespace that is not seen from here',
  'not-permitted':
    'the kernel does not let this process read the peer: kernel.yama.ptrace_scope, a security module, or capabilities that only the peer has',
  'call-blocked':
    'process_vm_readv is blocked, as by the seccomp filter of a container, or the kernel does not have it',
  'not-the-peer': 'what was read is not what the peer has there, so the process number is not the one of the peer',
} as const;

export type PeerMemoryReason = keyof typeof peerMemoryReasons;
