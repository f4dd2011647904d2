import { Transport, UnreachableError } from '@contiv/client';
import type { Run } from '../cli/command.js';
import { printable } from '../output/table.js';
import { CommandError, EXIT, type Session } from '../session.js';
import { isLoginAnswer, saveToken } from '../token.js';

const PATH = '/api/v1/auth_proxy/login/';

/** spec/contiv §3.2 */
export const login: Run = async (session) => {
  const urls = await session.server.urls();
  if (urls.some((url) => !url.startsWith('https://'))) {
    session.line('login requires a https auth_proxy URL');
    throw new CommandError(`there is no auth_proxy at ${session.server.address}: netmaster itself knows no users and needs no login`, {
      exit: EXIT.api,
      help: true,
      hint: 'give the address of the proxy: netctl --netmaster https://HOST:10000 login',
    });
  }
  const username = (await session.io.ask('Username: ', false)) ?? '';
  if (username === '') throw new CommandError('you must specify a username', { exit: EXIT.api });
  const password = (await session.io.ask('Password: ', true)) ?? '';
  const answer = await post(session, urls, { username, password });
  if (answer.status === 401) throw new CommandError('Login failed: Bad username or password.', { exit: EXIT.api });
  if (answer.status !== 200 || !isLoginAnswer(answer.text)) {
    session.io.err(`Login failed: unexpected response code (${answer.status})\n\n${plain(answer.text)}\n`);
    throw new CommandError(`what answers at ${answer.url} is no auth_proxy`, {
      exit: EXIT.api,
      hint: 'check the address: --netmaster https://HOST:10000',
    });
  }
  await saveToken(session.server.tokenFile, answer.text);
  session.line('Login succeeded.');
};

async function post(session: Session, urls: readonly string[], body: unknown) {
  const transport = new Transport({ urls, insecure: session.server.insecure, maxBytes: 64 * 1024 });
  try {
    return await transport.send({ method: 'POST', path: PATH, body });
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    const tried = error.attempts.map(({ url, reason }) => `${url} (${reason})`).join(', ');
    throw new CommandError(`no auth_proxy answers at ${tried}`, {
      exit: EXIT.api,
      hint: 'start auth_proxy there, or give the right address with --netmaster https://HOST:10000',
    });
  } finally {
    transport.close();
  }
}

const plain = (text: string): string => text.slice(0, 2_000).trim().split('\n').map(printable).join('\n');
