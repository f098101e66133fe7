/**
 * What a provider may call in the switch: the table given to WSPStartupEx, in the order of WSPUPCALLTABLEEX (WSD-THR-5).
 * Entries that have no meaning without the Windows kernel are there and answer WSAEOPNOTSUPP.
 */

import type { InvalidSocket } from './constants.js';
import type { EventObject } from './event.js';
import type { Out, SwitchHandle, WSAOVERLAPPED } from './structures.js';

export interface WSPUPCALLTABLEEX {
  WPUCloseEvent(hEvent: EventObject, lpErrno: Out<number>): boolean;
  /** Last up-call for a handle. 0, or SOCKET_ERROR with WSAENOTSOCK (WSD-THR-9, WSD-CLS-12). */
  WPUCloseSocketHandle(s: SwitchHandle, lpErrno: Out<number>): number;
  WPUCreateEvent(lpErrno: Out<number>): EventObject | null;
  /** A new handle, or INVALID_SOCKET with WSAENOBUFS (WSD-THR-8). `dwContext` comes back from the query below. */
  WPUCreateSocketHandle(
    dwCatalogEntryId: number,
    dwContext: unknown,
    lpErrno: Out<number>,
  ): SwitchHandle | InvalidSocket;
  WPUFDIsSet(s: SwitchHandle, fdset: readonly SwitchHandle[]): number;
  WPUGetProviderPath(lpProviderId: string, lpszProviderDllPath: Out<string>, lpErrno: Out<number>): number;
  WPUModifyIFSHandle(
    dwCatalogEntryId: number,
    proposedHandle: SwitchHandle,
    lpErrno: Out<number>,
  ): SwitchHandle | InvalidSocket;
  WPUPostMessage(hWnd: number, Msg: number, wParam: number, lParam: number): boolean;
  WPUQueryBlockingCallback(
    dwCatalogEntryId: number,
    lplpfnCallback: Out<unknown>,
    lpdwContext: Out<unknown>,
    lpErrno: Out<number>,
  ): number;
  /** 0 with the context of WPUCreateSocketHandle, or SOCKET_ERROR with WSAENOTSOCK (WSD-THR-9). */
  WPUQuerySocketHandleContext(s: SwitchHandle, lpContext: Out<unknown>, lpErrno: Out<number>): number;
  WPUQueueApc(lpThreadId: unknown, lpfnUserApc: () => void, dwContext: unknown, lpErrno: Out<number>): number;
  WPUResetEvent(hEvent: EventObject, lpErrno: Out<number>): boolean;
  WPUSetEvent(hEvent: EventObject, lpErrno: Out<number>): boolean;
  WPUOpenCurrentThread(lpThreadId: Out<unknown>, lpErrno: Out<number>): number;
  WPUCloseThread(lpThreadId: unknown, lpErrno: Out<number>): number;
  /**
   * Completes an operation in notify mode: sets `InternalHigh`, then `Internal`, and runs what waits for it, at once.
   * 0, or SOCKET_ERROR with WSAEINVAL for a handle that is not of WPUCreateSocketHandle (WSD-OVL-15, WSD-OVL-24).
   */
  WPUCompleteOverlappedRequest(
    s: SwitchHandle,
    lpOverlapped: WSAOVERLAPPED,
    dwError: number,
    cbTransferred: number,
    lpErrno: Out<number>,
  ): number;
}
