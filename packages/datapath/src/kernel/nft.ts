/** The nft command. */
import { execFile } from 'node:child_process';
import { DatapathError } from '../errors.js';

export function nft(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('nft', args, { timeout: 10_000 }, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else if ('code' in error && error.code === 'ENOENT') reject(new DatapathError('nft is missing; install the package nftables'));
      else reject(new DatapathError(`nftables refused: ${stderr.trim().split('\n')[0] ?? error.message}`));
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** Addresses a listing names, in any order. */
const elements = (listing: string): string =>
  [...listing.matchAll(/elements = \{([^}]*)\}/g)]
    .map((m) =>
      (m[1] ?? '')
        .split(',')
        .map((e) => e.trim())
        .sort()
        .join(),
    )
    .join('|');

export const sameElements = (a: string, b: string): boolean => elements(a) === elements(b);
