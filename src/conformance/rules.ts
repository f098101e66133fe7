/**
 * The provider-side rules of Windows Sockets Direct: those whose actor is the provider, or its kernel part, the proxy. The
 * repository's list of all rules is `tools/data`; a test compares.
 */

export interface Rule {
  readonly id: string;
  readonly level: 'MUST' | 'MUST NOT' | 'SHOULD' | 'SHOULD NOT' | 'MAY';
  /** Stated by the documents. Else it fills a gap in them, by what real providers do. */
  readonly binding: boolean;
  readonly title: string;
}

const binding = `
WSD-ERR-1 MUST Reporting convention. Functions return 0 / SOCKET_ERROR (-1), INVALID_SOCKET (all ones), null handle or ...
WSD-BLK-8 MUST WSAEINPROGRESS unused. Since no blocking calls are cancelled, providers never return WSAEINPROGRESS
WSD-COMP-11 MUST Translate addresses. The provider/proxy maps IP addresses to native addresses and back, for bind, connect ...
WSD-COMP-12 MUST Reliable ordered transport
WSD-COMP-13 MUST Single export. The provider module exports only its start function WSPStartupEx; other functions are ...
WSD-COMP-14 MUST Full service once connected
WSD-COMP-17 SHOULD Same NIC reachable by TCP/IP
WSD-SPI-1 MUST Required SPI functions (17)
WSD-SPI-2 MUST Plus extensions. WSPStartupEx and those of INI-13/14
WSD-THR-5 MUST Up-call set. Up-calls come from the table given to WSPStartupEx: close event, close socket handle, create ...
WSD-THR-6 MUST Extended table. WPUCompleteOverlappedRequest is the last entry; that is the difference from the ordinary ...
WSD-THR-7 MUST Needed up-calls. WPUCreateSocketHandle (WSPSocket, WSPAccept), WPUCompleteOverlappedRequest (notify mode ...
WSD-PRX-2 MUST Address list. Keep the IP addresses of the NICs it controls, via address-added / address-removed notifications
WSD-PRX-3 MUST Initial burst. Right after registering, all presently active addresses are reported through the ...
WSD-PRX-4 SHOULD Ignore strangers. Each notification carries address and device name (/Device/Tcpip_{NIC-GUID}); for a NIC ...
WSD-PRX-5 MUST Removal. An address of one of its NICs is taken off the list
WSD-PRX-6 MUST Serve the list. A device-control routine returns the list for SIO_ADDRESS_LIST_QUERY; its entry point is ...
WSD-PRX-7 MUST Translate. Use the list to map IP to native addresses for bind/connect requests, and native peer addresses ...
WSD-PRX-8 MUST Memory. On the provider's request allocate/lock or release physical memory for messages and RDMA, with ...
WSD-PRX-10 MUST Secure cached ranges. See CCH-4, CCH-8, CCH-16
WSD-PRX-11 SHOULD Requests. Process the provider's IOCTLs (address list, memory, secure/unsecure) and complete each with a ...
WSD-PRX-12 MUST Unload. An unload routine removes the device made at start
WSD-TBL-2 MUST Answer. The output is a SOCKET_ADDRESS_LIST: iAddressCount then that many SOCKET_ADDRESS entries, covering ...
WSD-REG-2 MUST Hidden flag. A provider that sits under the switch has PFL_HIDDEN set in dwProviderFlags of its ...
WSD-INI-4 MUST Recognise the switch. Seeing TCP/IP protocol info tells the provider that the switch (not an application or ...
WSD-INI-7 MUST Result by return value. WSPStartupEx returns 0 or directly an error: WSASYSNOTREADY, WSAVERNOTSUPPORTED ...
WSD-INI-8 MUST Version 2.2. The interface requires Winsock 2.2; a real provider rejects lower versions with ...
WSD-INI-9 MUST Counted starts. WSPStartupEx may be called repeatedly; the provider counts instances and only the last ...
WSD-INI-13 MUST Mandatory extensions. WSPRegisterMemory, WSPDeregisterMemory, WSPRegisterRdmaMemory ...
WSD-INI-15 MUST Refusing an optional extension. WSPIoctl then fails with WSAEOPNOTSUPP for that GUID
WSD-SOC-7 MUST WSPSocket step 1. Initialise an internal record for the companion
WSD-SOC-8 MUST WSPSocket step 2. Call WPUCreateSocketHandle to get the switch handle
WSD-SOC-9 MUST WSPSocket step 3. Store the switch handle in the record and return the provider's own descriptor (any ...
WSD-SOC-11 MUST Upward handle. The up-calls WPUQuerySocketHandleContext, WPUCloseSocketHandle and ...
WSD-SOC-21 MUST WSPBind address. name is read as a sockaddr_in although typed sockaddr
WSD-SOC-22 MUST WSPBind errors. WSAEADDRNOTAVAIL (not a local address of this provider), WSAEFAULT (pointer/length/family ...
WSD-SOC-24 MUST WSPSocket errors. WSAENETDOWN, WSAEAFNOSUPPORT, WSAEMFILE, WSAENOBUFS, WSAEPROTONOSUPPORT, WSAEPROTOTYPE ...
WSD-SOC-26 MUST Non-zero dwProviderReserved. In WSPSocket it means: recreate a duplicated socket (section 18)
WSD-EVT-3 MUST One or both. The guide shows one code per call; the reference says the switch ORs both
WSD-EVT-4 MUST Record. The provider records occurred events and their error codes internally in WSANETWORKEVENTS form ...
WSD-EVT-5 MUST Report. WSPEnumNetworkEvents returns the events since the previous call: bit mask lNetworkEvents plus ...
WSD-EVT-6 MUST Reset. WSPEnumNetworkEvents resets the event object passed as hEventObject (a real provider tolerates null)
WSD-EVT-7 MUST Atomic. Copying the record, clearing it and resetting the event are one atomic step, so that the next event ...
WSD-EVT-8 SHOULD New selection. A new WSPEventSelect replaces the previous one
WSD-EVT-9 MUST Nonblocking. WSPEventSelect puts the socket in nonblocking mode for connect and accept
WSD-EVT-10 MUST Errors. WSPEventSelect: WSAENETDOWN, WSAEINVAL (parameter or state), WSAENOTSOCK
WSD-OVL-4 MUST Start and return. A data call starts the transfer and returns at once: SOCKET_ERROR with WSA_IO_PENDING
WSD-OVL-6 MUST Any other error. Means the operation did not start and will never be completed
WSD-OVL-8 MUST NOT Silence in poll mode. Completion of such an operation must not be notified
WSD-OVL-10 MUST Notify. The provider completes it with WPUCompleteOverlappedRequest(switch handle, the same WSAOVERLAPPED ...
WSD-OVL-12 MUST Provider's fields. Of WSAOVERLAPPED the provider exclusively controls only Offset and OffsetHigh
WSD-OVL-13 SHOULD Typical flow: start. Internal = WSS_OPERATION_IN_PROGRESS (0x103), set before the operation can complete
WSD-OVL-14 SHOULD Typical flow: end. OffsetHigh = error code, Offset = result flags, then the up-call with the byte count
WSD-OVL-17 MUST WSPGetOverlappedResult, pending, fWait FALSE. Return FALSE with WSA_IO_INCOMPLETE
WSD-OVL-18 MUST WSPGetOverlappedResult, pending, fWait TRUE. Wait for completion
WSD-OVL-19 MUST WSPGetOverlappedResult, done
WSD-OVL-20 MUST WSPGetOverlappedResult flags
WSD-OVL-21 MUST WSPGetOverlappedResult scope
WSD-OVL-22 MUST Order of work. Sends leave in call order, receive buffers fill in call order; completion notices may come ...
WSD-OVL-23 MUST Exactly once. Each started operation completes once, at the latest during WSPCloseSocket or WSPDuplicateSocket
WSD-OVL-26 SHOULD Data-call errors. Full SAN lists partly unseen
WSD-MEM-3 MUST Handle scope (guide). Handles are valid only in the process that registered
WSD-MEM-4 MUST Handle scope (reference). The handle is valid only for the socket for which it was registered
WSD-MEM-6 MUST Descriptor scope. A descriptor works only for RDMA started by the peer on the connection of the SAN socket ...
WSD-MEM-7 MUST Prevent unauthorised access. Registered memory must be protected against everyone else
WSD-MEM-8 MUST Local-only. Memory for local access is available only to the process whose switch registered it
WSD-MEM-9 MUST RDMA access. RDMA memory is available to the registering process or to the connected peer of that socket ...
WSD-MEM-10 MUST Lifetime. Two conditions together: the registration is in force and the connection is up; otherwise no access
WSD-MEM-11 MUST No leak. It must not become reachable for other processes on this or other computers
WSD-MEM-12 MUST Read-only means read-only. Memory registered only for reading must not be writable through the registration
WSD-MEM-13 MUST Write-only means write-only. Memory registered only for writing must not be readable through the registration
WSD-MEM-15 MUST Bad flags. Any other flag value fails with WSAEINVAL
WSD-MEM-16 MUST WSPRegisterMemory errors. Returns null plus WSAENOBUFS (page spells it WSANOBUFS), WSAEFAULT (buffer not ...
WSD-MEM-17 MUST WSPDeregisterMemory errors. WSAEINVAL when the handle is unknown or the memory is in use by a data transfer
WSD-MEM-21 SHOULD Reference count. It then counts registrations; each deregistration decrements; only the last one frees ...
WSD-MEM-23 MUST Descriptor length out. On success the length becomes the size actually stored
WSD-MEM-24 MUST Descriptor buffer too small
WSD-MEM-25 MUST Other WSPRegisterRdmaMemory errors
WSD-MEM-26 MUST WSPDeregisterRdmaMemory errors. WSAEINVAL when the descriptor is unknown or the memory is in use by RDMA
WSD-MEM-30 MUST At close. The provider itself releases memory of transfers still outstanding
WSD-MEM-31 MUST Bounds. A remote request outside the registered range must fail (follows from MEM-7)
WSD-MEM-32 MUST Lock down. Buffers handed to the transport are locked in physical memory and known to the NIC
WSD-CON-6 MUST EventSelect implies nonblocking. After it, any WSPConnect on that socket runs in nonblocking mode
WSD-CON-8 MUST Immediate outcome. If the outcome is known at once WSPConnect returns success or the failure code directly
WSD-CON-9 MUST Pending. Otherwise it continues in another thread and WSPConnect returns WSAEWOULDBLOCK
WSD-CON-10 MUST Completion signal. When the operation completes the provider records FD_CONNECT with its error and signals ...
WSD-CON-14 MUST Meaning of the three final errors
WSD-CON-15 MUST NOT No false finality. Those three may be returned only if a TCP/IP attempt would certainly fail too
WSD-CON-16 SHOULD Peer without WSD. A machine on the SAN that can only talk through NDIS must not give WSAEHOSTUNREACH ...
WSD-CON-23 MUST Prompt abort. It then aborts the attempt without delay and frees the socket's resources
WSD-CON-28 SHOULD Other errors. General list: WSAENETDOWN, WSAEALREADY (already connecting), WSAEADDRNOTAVAIL (bad remote ...
WSD-THR-3 MUST Connect in background. A connect that cannot finish at once goes on in another thread (CON-9)
WSD-LSN-6 MUST Queue and signal. On an incoming request the provider queues it and signals the associated event object ...
WSD-LSN-8 SHOULD Backlog full: refuse. A request that finds the queue full is refused to the remote peer immediately
WSD-LSN-9 MUST Backlog full: no event. In that case the event object is not signalled; the switch is not asked
WSD-LSN-10 MUST Backlog full: remote result. The remote provider fails its connect with WSAECONNREFUSED
WSD-LSN-11 SHOULD SOMAXCONN. Backlog SOMAXCONN means a reasonable provider-chosen maximum; the switch cannot query the real ...
WSD-LSN-12 MUST WSPListen errors. WSAEINVAL (not bound), WSAEISCONN, WSAEMFILE, WSAENOBUFS, WSAENETDOWN, WSAENOTSOCK
WSD-LSN-13 SHOULD Listening twice. A second WSPListen changes the backlog; surplus queued requests (newest first in [I]) are ...
WSD-REG-13 MUST Meaning of wildcard. Binding a listener to 0.0.0.0 means: accept requests from every NIC this provider ...
WSD-ACC-4 MUST Step 1: signal. On an incoming request the provider signals the event object registered for FD_ACCEPT
WSD-ACC-8 MUST Same thread, before return
WSD-ACC-12 MUST Record first. On CF_ACCEPT the provider initialises its internal record for the accepting socket
WSD-ACC-13 MUST Then the handle. Next, inside WSPAccept, it calls WPUCreateSocketHandle to get the switch handle of the ...
WSD-ACC-14 MUST Store and return. It stores the switch handle in the record and completes WSPAccept by returning its own ...
WSD-ACC-16 MUST Handle upward. Up-calls name the switch handle
WSD-ACC-17 SHOULD Reset the event. Before completing WSPAccept successfully the provider resets the event object, so that a ...
WSD-ACC-20 SHOULD Error to the switch. On CF_REJECT WSPAccept fails with WSAECONNREFUSED (INVALID_SOCKET)
WSD-ACC-21 MUST Ask first. No acceptance or refusal may be indicated to the remote peer before the condition function has ...
WSD-ACC-22 SHOULD After CF_ACCEPT. Indicate acceptance; only then can the remote provider complete its WSPConnect operation ...
WSD-ACC-23 SHOULD After CF_REJECT. Indicate refusal to the remote peer
WSD-ACC-24 MUST Refused connect. The remote provider fails the connect with WSAECONNREFUSED
WSD-ACC-30 MUST Peer address out. addr receives the peer's IP address, addrlen is in/out; too small gives WSAEFAULT
WSD-ACC-31 MUST Opaque callback data. dwCallbackData is handed to the condition function unchanged and not interpreted
WSD-ACC-32 MUST Errors. WSAECONNREFUSED (CF_REJECT), WSAENETDOWN, WSAEFAULT, WSAEINVAL (not listening, bad g, bad verdict ...
WSD-ACC-33 MUST Condition arguments. (callerId, callerData, SQOS, GQOS, calleeId, calleeData, out g, dwCallbackData) ...
WSD-ACC-34 SHOULD Inherit. The accepting socket takes over the listener's socket options and cannot itself accept
WSD-THR-1 MUST Condition function. Same thread as WSPAccept, before it returns (ACC-8)
WSD-NEG-8 MUST NOT Never drop. The provider must not drop a connection only because no receive buffer was posted when the ...
WSD-NEG-9 MUST Private buffers. If A's buffers are late and the NIC has no flow control, A's provider keeps the message in ...
WSD-NEG-10 MUST Hand-over. When the switch posts buffers, private contents are copied to switch buffers one-to-one (one ...
WSD-NEG-11 MUST Afterwards normal. All further switch buffers are queued on the NIC's receive queue as usual
WSD-XFR-26 SHOULD Background transmission. The provider transmits buffered data in the background, so that an application ...
WSD-XFR-32 MUST Direction. WSPRdmaRead: peer RDMA memory -> local buffers
WSD-THR-4 MUST Data calls do not block. They start work and return (OVL-4)
WSD-CLS-8 MUST Close step 1a: tear down. After the switch of either side calls WSPCloseSocket, the providers on BOTH sides ...
WSD-CLS-9 MUST Close step 1b: finish receives. Each side completes its WSPRecv requests with a fitting error, e.g
WSD-CLS-10 MUST Close step 1c: abort the rest
WSD-CLS-11 SHOULD Memory before notice. Memory needed by an operation is released before its completion is signalled
WSD-CLS-12 MUST Close step 2: last up-call
WSD-CLS-13 MUST Descriptor dead. After WSPCloseSocket the provider answers further uses with WSAENOTSOCK
WSD-CLS-14 MUST Last reference. With the last reference the naming information and queued data are discarded and pending ...
WSD-CLS-15 SHOULD NOT Never free early. Socket data structures are not freed before the switch calls WSPCloseSocket, even if the ...
WSD-CLS-17 MUST WSPCloseSocket errors. WSAENETDOWN, WSAENOTSOCK. Not used: WSAEINPROGRESS, WSAEWOULDBLOCK
WSD-CLS-19 SHOULD Delay WPUCloseSocketHandle until all completion up-calls have returned
WSD-CLS-22 MUST Release all. Each provider then frees everything it used, e.g. event objects and transfer memory
WSD-CLS-23 MUST WSPCleanup counting and errors
WSD-CLS-24 SHOULD Open sockets at final cleanup
WSD-THR-13 SHOULD NOT No early free. See CLS-15
WSD-OPT-3 MUST SO_MAX_MSG_SIZE. Required if the transport is message-oriented and limits the size of a WSPSend
WSD-OPT-4 MUST SO_MAX_RDMA_SIZE. Required if the transport limits RDMA size (read or write)
WSD-OPT-7 MUST Group options. SO_GROUP_ID and SO_GROUP_PRIORITY are required exactly when the provider supports QoS
WSD-OPT-9 MUST Declaring QoS. XP1_QOS_SUPPORTED in the service flags (dwServiceFlags1)
WSD-OPT-10 MUST QoS control codes. SIO_GET_QOS, SIO_GET_GROUP_QOS, SIO_SET_QOS, SIO_SET_GROUP_QOS are required with QoS
WSD-OPT-11 MUST WSPGetQOSByName. Full with QoS; otherwise at least fail with WSAEOPNOTSUPP (result FALSE)
WSD-OPT-12 MUST WSPGetSockOpt form. Any socket state; in/out optlen = buffer size, then value size; errors WSAEFAULT (bad ...
WSD-OPT-13 MUST WSPSetSockOpt form. Errors WSAEFAULT, WSAEINVAL (level or value), WSAENOPROTOOPT, WSAENETRESET ...
WSD-OPT-14 SHOULD Option levels. SOL_SOCKET for all listed options; the reference also mentions level IPPROTO_TCP for ...
WSD-CCH-1 SHOULD Why. Locking and NIC registration are expensive; cache registrations so that applications reusing buffers ...
WSD-CCH-2 SHOULD Local: deregister keeps it
WSD-CCH-3 MUST Key. The cache is keyed by virtual address (range)
WSD-CCH-4 MUST Secure it. While cached, the proxy secures the virtual range (MmSecureVirtualMemory with start and length ...
WSD-CCH-5 SHOULD Local: register looks first. On WSPRegisterMemory search the cache; on a hit do nothing more
WSD-CCH-7 MUST Invalidation work. Remove the buffer from the cache and its registration from the NIC
WSD-CCH-8 MUST Unsecure. The proxy gives up the range (MmUnsecureVirtualMemory with the handle of CCH-4)
WSD-CCH-9 MUST Callback needed. A provider that caches must implement WSPMemoryRegistrationCacheCallback
WSD-CCH-10 MUST Callback result. 0, or SOCKET_ERROR with WSAEFAULT (was cached but cannot be unlocked/unregistered) or ...
WSD-CCH-11 SHOULD End of connection. Release cached buffers before the connection between SAN socket and peer is closed
WSD-CCH-12 SHOULD RDMA: deregister keeps lock and registration
WSD-CCH-13 MUST RDMA: but cut off the peer
WSD-CCH-14 SHOULD RDMA: register looks first
WSD-CCH-15 SHOULD RDMA: same techniques. Securing, invalidation and release work as for local buffers
WSD-CCH-16 MUST Guarded access. Access to secured user memory is wrapped in exception handling (try/except)
WSD-DUP-23 MUST Step 2: receives end. It completes all outstanding receives through WPUCompleteOverlappedRequest with ...
WSD-DUP-24 MUST Step 2: release. It releases all buffers of those requests by itself
WSD-DUP-26 MUST Step 2: token. dwProviderReserved of the returned WSAPROTOCOL_INFOW identifies underlying socket and ...
WSD-DUP-28 MUST Step 3: new here. If N did not have this SAN socket: create one and call WPUCreateSocketHandle
WSD-DUP-30 SHOULD NOT Step 3: no second handle. In that case do not call WPUCreateSocketHandle; the old switch handle stays in use
WSD-DUP-33 MUST Step 3: equivalent state. After WSPSocket returns, the SAN socket in N is, seen from the switch, in the ...
WSD-DUP-37 MUST Reconnect in N. If it ended the connection it must re-establish it once WSPSocket is called in N
WSD-DUP-39 MUST Descriptor validity. A descriptor stays valid until WSPCloseSocket on it; it must not be reused before ...
WSD-DUP-41 SHOULD Tell the peer. P's provider should, if at all possible, complete receives with a fitting error such as ...
WSD-DUP-43 MUST WSPDuplicateSocket errors
`;

const others = `
WSD-TBL-3 SHOULD Short buffer. If the output buffer is too small: store the needed size, fail with WSAEFAULT; the switch ...
WSD-INI-16 SHOULD Unknown GUID. A real provider answers WSAEINVAL for a GUID it does not know
WSD-INI-17 SHOULD Do not touch the socket argument here
WSD-EVT-11 SHOULD Foreign bits. Any bit other than FD_ACCEPT/FD_CONNECT: WSAEINVAL
WSD-OVL-16 SHOULD Poll mode end. With no up-call the provider itself sets InternalHigh and last Internal
WSD-OVL-25 SHOULD Aborted operations carry 0 bytes
WSD-CON-25 SHOULD Loopback. A real provider fails connects to its own address/port GUID with WSAEADDRNOTAVAIL so that TCP/IP ...
WSD-CON-29 SHOULD Timeouts. No numbers are given for a SAN connect; the provider owns the timer and reports WSAETIMEDOUT ...
WSD-LSN-15 SHOULD Closing a listener. Queued, unaccepted requests are refused to their senders
WSD-ACC-18 SHOULD More requests waiting. After taking one request, if others are queued, record FD_ACCEPT and signal again (a ...
WSD-ACC-25 SHOULD Failure after CF_ACCEPT. If resources run out after CF_ACCEPT, refuse the remote request, give back a ...
WSD-NEG-13 SHOULD How many private buffers. One of 256 bytes per accepted connection is enough, since I sends nothing else ...
WSD-XFR-33 SHOULD Message framing. One WSPSend fills exactly one posted WSPRecv at the peer, in order
WSD-XFR-34 SHOULD Read/send ordering. A WSPSend issued after a WSPRdmaRead must not overtake it (a real provider fences the ...
WSD-CLS-18 SHOULD Poll-mode operations at close. They are marked done in WSAOVERLAPPED without up-call
WSD-CLS-20 SHOULD Error kinds on an established connection
WSD-THR-11 SHOULD Locks. Make up-calls without holding locks that SPI calls need; the switch may call the provider (e.g
WSD-THR-12 SHOULD Concurrent calls. WSPSend, WSPRecv and RDMA on one socket may come from several threads; posting is ...
`;

/** Rules of the switch whose other half is the provider's, and permissions: as far as scenarios show them. */
const halves = `
WSD-SOC-23 MUST Address reuse. SO_REUSEADDR questions are settled by the switch with TCP/IP; the provider never reports ...
WSD-EVT-2 MUST Only two events go down. The provider's WSPEventSelect is called only for FD_ACCEPT and FD_CONNECT
WSD-MEM-18 MUST Same socket. Deregistration names the socket used at registration (both kinds)
WSD-MEM-22 MUST Descriptor buffer. The switch supplies the memory for the descriptor and its size in an in/out length
WSD-CON-22 MUST Cancelling. A pending connect is cancelled by WSPCloseSocket
WSD-ACC-15 MUST Descriptor downward. Later calls of the switch name the provider's descriptor
WSD-XFR-8 MUST NOT Message size. No WSPSend larger than SO_MAX_MSG_SIZE
WSD-XFR-29 MUST Registered buffers only. Every buffer given to WSPSend, WSPRecv, WSPRdmaRead or WSPRdmaWrite was registered ...
WSD-XFR-30 MUST Buffer forms. WSPSend/WSPRecv take WSABUF (len, buf; the provider looks up the registration by address) ...
WSD-XFR-31 MUST Remote reference. RDMA calls name the peer memory by the peer's descriptor bytes, their length, and a byte ...
`;
const permissions = `
WSD-OVL-5 MAY Immediate completion. The reference allows return 0 when already complete; by general SPI rules the ...
WSD-OVL-27 MAY Unregistered buffer. A real provider answers WSAEFAULT when no registration covers the buffer, WSAEINVAL ...
WSD-ACC-10 MAY Deferral. The general SPI also has CF_DEFER (no decision; request stays at the head of the queue; WSPAccept ...
WSD-NEG-12 MAY NIC with flow control. Then the sender is simply held back and no private buffers are needed
`;

const linePattern = /^(WSD-\S+) ((?:MUST|SHOULD)(?: NOT)?|MAY) (.+)$/gm;

function read(text: string, isBinding: boolean): Rule[] {
  return [...text.matchAll(linePattern)].map(([, id, level, title]) => {
    return { id: id!, level: level as Rule['level'], binding: isBinding, title: title! };
  });
}

export const rules: readonly Rule[] = [
  ...read(binding, true),
  ...read(others, false),
  ...read(halves, true),
  ...read(permissions, false),
];

const kernel = 'it is a duty of a kernel driver, and providers for Node.js have none';
const hidden = 'it is between a provider and its own lower parts; what follows from it is seen in the address list';

/** Rules that no provider for Node.js can show through the contract, and why. */
export const inapplicable: Readonly<Record<string, string>> = {
  'WSD-PRX-2': hidden,
  'WSD-PRX-3': hidden,
  'WSD-PRX-4': hidden,
  'WSD-PRX-5': hidden,
  'WSD-PRX-8': kernel,
  'WSD-PRX-10': kernel,
  'WSD-PRX-11': kernel,
  'WSD-PRX-12': kernel,
  'WSD-CCH-4': kernel,
  'WSD-CCH-8': kernel,
  'WSD-CCH-16': kernel,
  'WSD-MEM-32': kernel,
};

/** `WSD-ACC-8` is of family `ACC`. */
export function familyOf(id: string): string {
  return id.split('-')[1] ?? '';
}
