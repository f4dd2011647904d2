/** `netplugin status`: asks the agent of this host. */
import http from 'node:http';
import { agentStatus, formatStatus } from './status.js';

function get(host: string, port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const req = http.get({ host, port, path, timeout: 5_000 }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      res.on('error', reject);
    });
    req.on('timeout', () => req.destroy(new Error('no answer within 5 s')));
    req.on('error', reject);
  });
}

/** Prints the status; exit code 0 when nothing is wrong, 1 when the agent does not answer, 2 when it reports problems. */
export async function showStatus(
  config: { readonly listenIp: string; readonly ctrlIp: string; readonly ctrlPort: number },
  json: boolean,
): Promise<number> {
  let text = '';
  let fault = '';
  // An agent started with --ctrl-ip listens there, one without on loopback.
  for (const host of new Set([config.listenIp, config.ctrlIp])) {
    try {
      text = await get(host, config.ctrlPort, '/status');
      break;
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
    }
  }
  if (text === '') {
    process.stderr.write(
      `netplugin: no agent answers on port ${config.ctrlPort} of this host (${fault}); is netplugin running? give --ctrl-ip and --ctrl-port as it was started with\n`,
    );
    return 1;
  }
  const status = agentStatus.parse(JSON.parse(text));
  process.stdout.write(`${json ? JSON.stringify(status, null, 2) : formatStatus(status)}\n`);
  return status.problems.length === 0 ? 0 : 2;
}
