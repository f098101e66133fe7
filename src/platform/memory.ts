import { fstatSync } from 'node:fs';
import { callFailed, PlatformError } from './error.js';
import type { Libc } from './libc.js';

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NOEXEC_SEAL = 8;
const F_GETFL = 3;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
const F_SEAL_WRITE = 8;
const F_SEAL_FUTURE_WRITE = 16;
const O_ACCMODE = 3;
const O_RDWR = 2;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

const requiredSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
/** Pages of this size come from the general pool; memory in larger blocks may be of huge pages, see below. */
const largestBlock = 64 * 1024;

export interface SharedMemory {
  createSealedMemory(size: number): number;
  checkSealedMemory(descriptor: number, size: number): void;
  mapShared(descriptor: number, size: number): ArrayBuffer;
}

export function sharedMemory(libc: Libc): SharedMemory {
  // A view keeps its ArrayBuffer reachable, so once the buffer is collected nothing can touch the mapping any more.
  const mappings = new FinalizationRegistry<{ address: bigint; size: number }>(({ address, size }) => {
    libc.munmap(address, size);
  });

  function createDescriptor(): number {
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    let descriptor = libc.memfdCreate('sockets-direct', flags | MFD_NOEXEC_SEAL);
    // Kernels before 6.3 do not know the flag.
    if (descriptor < 0 && libc.errorName() === 'EINVAL') descriptor = libc.memfdCreate('sockets-direct', flags);
    if (descriptor < 0) throw callFailed('memory-unavailable', 'memfd_create', libc.errorName());
    return descriptor;
  }

  function reserve(descriptor: number, size: number): void {
    // Without the reservation a system that is out of memory would kill us at the first touch of a page.
    for (;;) {
      if (libc.fallocate(descriptor, 0, 0, size) === 0) return;
      const code = libc.errorName();
      if (code !== 'EINTR') throw callFailed('memory-unavailable', 'fallocate', code);
    }
  }

  return {
    createSealedMemory(size) {
      requireSize(size);
      const descriptor = createDescriptor();
      try {
        if (libc.ftruncate(descriptor, size) !== 0) {
          throw callFailed('memory-unavailable', 'ftruncate', libc.errorName());
        }
        reserve(descriptor, size);
        if (libc.fcntl(descriptor, F_ADD_SEALS, requiredSeals) !== 0) {
          throw callFailed('memory-unavailable', 'F_ADD_SEALS', libc.errorName());
        }
        return descriptor;
      } catch (error) {
        libc.close(descriptor);
        throw error;
      }
    },

    checkSealedMemory(descriptor, size) {
      requireSize(size);
      const seals = libc.fcntl(descriptor, F_GET_SEALS, 0);
      if (seals < 0) throw callFailed('arena-unsafe', 'F_GET_SEALS', libc.errorName());
      // Only a memfd can have the SHRINK seal, so this excludes files that somebody could truncate under us.
      if ((seals & requiredSeals) !== requiredSeals) throw new PlatformError('arena-unsafe', `seals ${seals}`);
      const readOnly = (libc.fcntl(descriptor, F_GETFL, 0) & O_ACCMODE) !== O_RDWR;
      if (readOnly || (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) {
        throw new PlatformError('arena-unsafe', 'read only');
      }
      const status = fstatSync(descriptor);
      if (!status.isFile() || status.size !== size) {
        throw new PlatformError('arena-unsafe', `${status.size} bytes instead of ${size}`);
      }
      // Huge pages can be sealed as well, but touching one faults once the pool of huge pages is empty.
      if (status.blksize > largestBlock) throw new PlatformError('arena-unsafe', `blocks of ${status.blksize} bytes`);
    },

    mapShared(descriptor, size) {
      requireSize(size);
      const address = BigInt(libc.mmap(null, size, PROT_READ_WRITE, MAP_SHARED, descriptor, 0));
      if (address === MAP_FAILED) throw callFailed('memory-unavailable', 'mmap', libc.errorName());
      let buffer: ArrayBuffer;
      try {
        buffer = libc.view(address, size);
      } catch (error) {
        libc.munmap(address, size);
        throw new PlatformError('memory-unavailable', error instanceof Error ? error.message : String(error));
      }
      // Not marked as untransferable, although transferring it would outlive the mapping: from Node.js 24 on the end of the
      // process, which detaches foreign buffers, is fatal for one that cannot be detached. It never leaves this package.
      mappings.register(buffer, { address, size });
      return buffer;
    },
  };
}

function requireSize(size: number): void {
  if (!Number.isSafeInteger(size) || size <= 0 || size % 4096 !== 0) {
    throw new RangeError(`${size} is not a whole number of pages`);
  }
}
