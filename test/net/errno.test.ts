import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { toUvErrno, toWsaError, uvErrorCode } from '../../src/providers/tcpip/errno.js';
import {
  WSA_OPERATION_ABORTED,
  WSAECONNABORTED,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEHOSTUNREACH,
  WSAENETUNREACH,
  WSAESHUTDOWN,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
  WSASYSCALLFAILURE,
} from '../../src/spi/index.js';

test('errors have the same name on both sides', () => {
  const names: [number, string][] = [
    [WSAECONNRESET, 'ECONNRESET'],
    [WSAECONNREFUSED, 'ECONNREFUSED'],
    [WSAECONNABORTED, 'ECONNABORTED'],
    [WSAEHOSTUNREACH, 'EHOSTUNREACH'],
    [WSAENETUNREACH, 'ENETUNREACH'],
    [WSAETIMEDOUT, 'ETIMEDOUT'],
    [WSAESHUTDOWN, 'EPIPE'],
    [WSAEWOULDBLOCK, 'EAGAIN'],
    [WSA_OPERATION_ABORTED, 'ECANCELED'],
  ];
  for (const [wsaError, code] of names) {
    assert.equal(uvErrorCode(toUvErrno(wsaError)), code);
    assert.equal(toWsaError(toUvErrno(wsaError)), wsaError);
  }
});

test('success stays success, and the unknown is not success', () => {
  assert.equal(toUvErrno(0), 0);
  assert.equal(toWsaError(0), 0);
  assert.equal(uvErrorCode(toUvErrno(99999)), 'EINVAL');
  assert.equal(toWsaError(-constants.errno.EXDEV), WSASYSCALLFAILURE);
});
