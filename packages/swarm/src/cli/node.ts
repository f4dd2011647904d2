import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { ServerTls } from '../api/server.js';
import { readText } from '../engine/client.js';
import { isObject, numberAt, parseJson, stringAt, stringsAt } from '../json.js';
import { Fatal } from './manage-options.js';

/** What operators ask of a running manager. */
async function ask(host: string, tls: ServerTls | undefined, method: string, path: string): Promise<unknown> {
  const unix = host.startsWith('unix://') ? host.slice(7) : undefined;
  const url = new URL(host.replace(/^(?:tcp:\/\/)?/, 'http://'));
  const where = unix === undefined ? { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port || 2375 } : { socketPath: unix };
  const answer = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const take = (reply: IncomingMessage): void => {
      readText(reply).then((text) => resolve({ status: reply.statusCode ?? 500, text }), reject);
    };
    const call =
      tls === undefined
        ? httpRequest({ ...where, method, path }, take)
        : httpsRequest({ ...where, method, path, ...credentials(tls) }, take);
    call.on('error', (error) =>
      reject(
        new Fatal(
          `cannot reach the manager at ${host}: ${error.message}; give its address with --host or DOCKER_HOST${tls === undefined ? ', and --tlsverify if it asks for TLS' : ''}`,
        ),
      ),
    );
    call.end();
  });
  const body = parseJson(answer.text);
  if (answer.status >= 400) throw new Fatal(stringAt(body, 'message') || `manager answered ${answer.status}`);
  return body;
}

const credentials = ({ cert, key, ca, verify }: ServerTls) => ({
  cert,
  key,
  rejectUnauthorized: verify,
  ...(ca === undefined ? {} : { ca }),
});

export async function listHealth(host: string, tls?: ServerTls): Promise<string> {
  const rows = await ask(host, tls, 'GET', '/nodes/health');
  const table = [['NODE', 'ADDRESS', 'STATUS', 'CONTAINERS', 'VERSION', 'ERROR']];
  for (const row of Array.isArray(rows) ? rows : []) {
    const drained = isObject(row) && row.Drained === true ? ' (drained)' : '';
    table.push([
      stringAt(row, 'Name') || '(unknown)',
      stringAt(row, 'Addr'),
      stringAt(row, 'Status') + drained,
      String(numberAt(row, 'Containers')),
      stringAt(row, 'ServerVersion') || '-',
      stringAt(row, 'Error') || '-',
    ]);
  }
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  return `${table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`;
}

export async function setNodeState(host: string, tls: ServerTls | undefined, action: string, node: string): Promise<string> {
  const answer = await ask(host, tls, 'POST', `/nodes/${encodeURIComponent(node)}/${action}`);
  return `${[...stringsAt(answer, 'Messages'), `node ${node} is ${action === 'drain' ? 'drained' : 'active'}`].join('\n')}\n`;
}
