/** What a hostile or broken client sends; runs as a program of its own: `node hostile.mjs HOST PORT COUNT`. */
export const HOSTILE_CLIENT = `
  const net = require('node:net'), crypto = require('node:crypto');
  const [host, port, count] = process.argv.slice(1);
  const words = ['/containers/create', '/containers/%00/json', '/containers/../../x', '/v1.41/exec/x/start', '/events?until=x', '/containers/json?filters={',
    '/images/' + 'a/'.repeat(500) + 'json', '/networks/create', '/build', '/%zz', '/volumes/create', '/images/create?fromImage=', '*', '/session', '/grpc',
    '/containers/json?filters=%7B%22name%22%3A%5B%22(a%2B)%2B%24%22%5D%7D', '/v1.41/containers/x/attach', '/images/load', '/auth', '/commit?container=x',
    '/containers/prune?filters=[]', '/system/df?type=x', '/nodes/x/drain', '/metrics', '/info', '/networks/x/connect', '/containers/json?limit=-1&before=x'];
  const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'FOO'];
  const bodies = ['{', '[]', 'null', '{"Image":1}', '{"Image":"alpine","HostConfig":[]}', '{"Labels":{"com.docker.swarm.id":{}}}', '{"Name":"a/b/c"}', '{"Container":{}}', '{"Env":[1,{}]}'];
  const pick = (list) => list[crypto.randomInt(list.length)];
  const one = (i) => new Promise((done) => {
    const s = net.connect({ host, port: Number(port), allowHalfOpen: true }, () => {
      const line = pick(methods) + ' ' + pick(words) + ' HTTP/1.1\\r\\nHost: x\\r\\n';
      const body = i % 2 ? Buffer.from(pick(bodies)) : crypto.randomBytes(crypto.randomInt(300));
      switch (i % 6) {
        case 0: s.end(crypto.randomBytes(crypto.randomInt(2000))); break;
        case 1: s.write(line); setTimeout(() => s.destroy(), 50); break;
        case 2: s.write(line + 'Connection: close\\r\\nContent-Length: ' + body.length + '\\r\\n\\r\\n'); s.write(body); break;
        case 3: s.write(line + 'Connection: Upgrade\\r\\nUpgrade: ' + pick(['tcp', 'h2c', 'websocket']) + '\\r\\nContent-Length: 5\\r\\n\\r\\n{}'); break;
        case 4: s.end(line + 'Transfer-Encoding: chunked\\r\\n\\r\\nffffffff\\r\\n{'); break;
        case 5: s.write(line + 'Content-Type: application/json\\r\\nContent-Length: ' + (body.length + 7) + '\\r\\n\\r\\n'); s.write(body); s.end(); break;
      }
    });
    const end = () => { s.destroy(); done(); };
    s.on('error', end).on('close', end).on('data', () => {});
    setTimeout(end, 400);
  });
  (async () => { for (let i = 0; i < Number(count); i += 100) await Promise.all(Array.from({ length: 100 }, (_, k) => one(i + k))); })();
`;

/** So many connections that never finish a request: half of them in the head, half in the body. Prints how many the server has ended, once a second. */
export const SLOW_CLIENT = `
  const net = require('node:net');
  const [host, port, count] = process.argv.slice(1);
  let ended = 0;
  for (let i = 0; i < Number(count); i++) {
    const s = net.connect(Number(port), host, () => {
      s.write(i % 2 ? 'GET /info HTTP/1.1\\r\\nHost: x\\r\\n' : 'POST /containers/create HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 100000\\r\\n\\r\\n{');
      const drip = setInterval(() => s.write(i % 2 ? 'X-Slow: 1\\r\\n' : ' '), 1000);
      s.on('close', () => { clearInterval(drip); ended++; });
    });
    s.on('error', () => {}).on('data', () => {});
  }
  setInterval(() => console.log(ended), 1000);
`;
