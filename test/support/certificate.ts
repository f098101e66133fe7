/** A self-signed certificate for localhost, for tests of TLS only. */

export const key = [
  '-----BEGIN PRIVATE KEY-----',
  'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9uRFmau1WnYRoiu8',
  'd9CJkGQoQZ+BKBUOvSBWmR6zpDuhRANCAATk2OPZYhgiMxbDDu2tSpk/oHTimDA4',
  'wqtn1GiOsc/x1BK69QTSoS6RsyIWMtblyiI4YzLF+BXQOyIBJcph9NMk',
  '-----END PRIVATE KEY-----',
].join('\n');

export const cert = [
  '-----BEGIN CERTIFICATE-----',
  'MIIBmjCCAUGgAwIBAgIUJ6LpH6EWUXles0elj8zIexUtuYswCgYIKoZIzj0EAwIw',
  'FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzIwNDcwMloYDzIxMjYxMDMw',
  'MjA0NzAyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO',
  'PQMBBwNCAATk2OPZYhgiMxbDDu2tSpk/oHTimDA4wqtn1GiOsc/x1BK69QTSoS6R',
  'syIWMtblyiI4YzLF+BXQOyIBJcph9NMko28wbTAdBgNVHQ4EFgQU8NgcXpJRFnVl',
  'CZET0ZpqYlxyNKUwHwYDVR0jBBgwFoAU8NgcXpJRFnVlCZET0ZpqYlxyNKUwDwYD',
  'VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI',
  'zj0EAwIDRwAwRAIgFOn1YA6s4WP9A9tzoQsXK6IRKwvhxR1dseDbXk1QgdkCIBkc',
  'dIWJkMlRh8nNVpWK3zTY8LOPVWe3VNT0hbgJCVXj',
  '-----END CERTIFICATE-----',
].join('\n');
