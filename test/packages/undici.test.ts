import { testPackage } from './support.js';

testPackage('undici', 'undici', {
  facts: [
    'Client: 100 of 100 over 1 connections',
    'pipeline: 3145728 bytes, as sent',
    'Pool: 200 of 200 over 4 connections',
    'the server saw it: closed',
    'fetch: 3145728 bytes, as sent',
  ],
});

testPackage('undici over HTTP/2', 'undici-h2', {
  facts: ['over HTTP/2.0', 'streams: 200 of 200 over 0 connections', 'upload as sent', 'others go on: 2.0'],
});

testPackage('global fetch', 'fetch', {
  facts: [
    '100 of 100 at once',
    'streams in both directions: 8388608 bytes, as sent',
    'JSON: {"sum":4999950000}',
    'a Blob arrives as sent',
    'the server saw it: ECONNRESET',
    'nobody there: TypeError',
  ],
});
