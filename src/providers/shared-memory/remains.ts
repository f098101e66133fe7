/** What is left of a connection where it was before it moved: both sides say close, and the place is free. */

import type { ConnectionLink, LinkConnection } from './link-face.js';

export class Remains implements LinkConnection {
  constructor(
    readonly link: ConnectionLink,
    readonly id: number,
    readonly initiator: boolean,
  ) {}

  closedByPeer(): void {
    if (this.initiator) this.link.release(this.id);
    else this.link.forget(this.id);
  }

  // The peer has nothing to say here any more.
  receive(): void {}
  handleRdma(): boolean {
    return true;
  }
  sent(): void {}
  accepted(): void {}
  refused(): void {}
  peerMoves(): void {}
  linkLost(): void {}
}
