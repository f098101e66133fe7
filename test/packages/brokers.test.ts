import { testPackage } from './support.js';

testPackage('mqtt and aedes', 'mqtt', {
  facts: [
    'level 0: 100 of 100 in order',
    'level 1: 100 of 100 in order',
    'level 2: 100 of 100 in order',
    'large: 5242880 bytes, as sent',
    'retained: kept true',
    'last will: wills/doomed gone',
    'a second client of the same name replaces the first',
  ],
});

testPackage('ioredis', 'redis', {
  facts: [
    'one after another: 200 of 200',
    'pipeline: 5000 of 5000 answers',
    'large: 4194304 bytes, as sent',
    'transaction: [null,42]',
    'watched: null',
    'channel: 1000 of 1000 in order',
    'blocking pop: ["jobs","one"], left two',
    'cut: Connection is closed.',
  ],
});

testPackage('nodemailer and smtp-server', 'smtp', {
  facts: ['8 of 8 mails taken', '8 mails with their attachment as sent, 2 connections with TLS'],
});
