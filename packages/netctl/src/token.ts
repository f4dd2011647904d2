/** The token of the last login, kept in the user's home (spec/contiv §3.2). */
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { CommandError, EXIT } from './session.js';

const config = z.object({
  token: z
    .string()
    .min(1)
    .max(16_384)
    .regex(/^[\x21-\x7e]+$/),
});

const unusable = (reason: string, hint: string) => new CommandError(`error processing netctl config: ${reason}`, { exit: EXIT.api, hint });

/** `undefined` when nobody has logged in. A token never goes over a connection that others can read. */
export async function readToken(file: string, urls: readonly string[]): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
    throw unusable(`failed to read config file: ${reasonOf(error)}`, `remove ${file}, or make it readable`);
  }
  const { token } = parseToken(text, file);
  if (urls.some((url) => !url.startsWith('https://')))
    throw unusable(
      'failed to set auth token: setting auth token requires a https auth_proxy URL',
      `give --netmaster https://PROXY:10000, or remove ${file} to log out`,
    );
  return token;
}

function parseToken(text: string, file: string): { token: string } {
  const logIn = `remove ${file} and log in again`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unusable(`failed to unmarshal JSON: ${reasonOf(error)}`, logIn);
  }
  const parsed = config.safeParse(value);
  if (!parsed.success) throw unusable('failed to unmarshal JSON: there is no token in it', logIn);
  return parsed.data;
}

/** Keeps a login's answer, readable by the user only. */
export async function saveToken(file: string, answer: string): Promise<void> {
  const directory = dirname(file);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
    const fresh = `${file}.${process.pid}`;
    await writeFile(fresh, answer, { mode: 0o600 });
    await rename(fresh, file);
  } catch (error) {
    throw new CommandError(`cannot keep the token in ${file}: ${reasonOf(error)}`, { exit: EXIT.io });
  }
}

/** Is this answer of a login one that can be kept? */
export const isLoginAnswer = (text: string): boolean => {
  try {
    return config.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
};

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
