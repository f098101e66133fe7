import { testPackage } from './support.js';

const facts = [
  /^echoes of 200: 200 \(4000 done 0\), 200 \(4001 done 1\)/,
  'large ones: 3 of 3',
  'fragments: 1000000 bytes, as sent',
  'pong: are you there',
  'stream: 4194304 bytes, as sent',
  'the server saw it: closed with 1006',
  'closed by the server: 4999 that was all',
];

testPackage('ws', 'ws', { facts });
testPackage('ws over TLS', 'ws', { args: ['--tls'], facts });

testPackage('socket.io', 'socketio', {
  facts: [
    'polling: 100 of 100, 3145728 bytes, as sent',
    'websocket: 100 of 100, 3145728 bytes, as sent',
    'upgraded to websocket: 100 of 100, 3145728 bytes, as sent',
    'heard: to all of you, to all of you, to all of you',
    'the server saw it: transport close',
    'thrown out: io server disconnect',
  ],
});
