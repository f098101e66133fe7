import { testPackage } from './support.js';

const facts = [
  'unary: 200 of 200 over 1 connection',
  'large: 4194304 bytes, as sent',
  'error: FAILED_PRECONDITION',
  'deadline: DEADLINE_EXCEEDED',
  'server streams: 315 messages, 3145728 bytes, as sent',
  'client streams: true',
  'both stream: 500 of 500 in order',
  'cancelled: CANCELLED',
  'the server saw it: cancelled',
];

testPackage('@grpc/grpc-js', 'grpc', { facts });
testPackage('@grpc/grpc-js over TLS', 'grpc', { args: ['--tls'], facts });
