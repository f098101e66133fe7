import { testPackage } from './support.js';

const facts = [
  '220 of 220 answers over 4 connections, the last 20 on an idle one',
  'download: 8388608 bytes, as sent',
  'both ways at once: 4194304 bytes, as sent',
  'pipelined: 20 of 20 answers in order, 0 bytes too many',
  'refused: 417',
  /^aborted: (ECONNRESET|ABORT_ERR)$/,
  'the server saw it: closed with the answer not ended',
  'cut off: ECONNRESET after 1048576 bytes',
  'upgraded, 101: 2097152 bytes, as sent',
  'the upgraded connection is closed',
];

testPackage('node:http', 'http', { facts });
testPackage('node:https', 'https', { facts });
