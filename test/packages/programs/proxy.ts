/** `proxy.js server PORT`: http-proxy in front of what listens there, with connections that are kept. */

import http from 'node:http';
import httpProxy from 'http-proxy';
import { closed, fact, host, listen, play } from './side.js';

await play({
  async server(behind) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 3 });
    const proxy = httpProxy.createProxyServer({ target: { host, port: behind }, agent });
    let passed = 0;
    proxy.on('proxyRes', () => {
      passed += 1;
    });
    const serving = http.createServer((req, res) => proxy.web(req, res));
    const close = async (): Promise<void> => {
      await closed(serving);
      agent.destroy();
      fact(`${passed} answers passed`);
    };
    return { port: await listen(serving), close };
  },
  async client() {},
});
