import { readFileSync } from 'node:fs';
import type { EtcdOptions } from './etcd/options.js';
import { StoreRequestError } from './store.js';

/** What a store URL stands for. */
export type StoreLocation =
  | { readonly kind: 'memory' }
  | { readonly kind: 'lmdb'; readonly path: string }
  | { readonly kind: 'etcd'; readonly options: EtcdOptions };

/** How etcd lets us in; files, because arguments can be read by everyone on the host. */
export interface StoreCredentials {
  /** PEM files. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly user?: string;
  readonly password?: string;
  readonly passwordFile?: string;
}

/** `CONTIV_STORE_CA`, `_CERT`, `_KEY` (files), `_USER`, `_PASSWORD` or `_PASSWORD_FILE`. */
export function credentialsFromEnv(env: Readonly<Record<string, string | undefined>>): StoreCredentials {
  return {
    ...pick('caFile', env.CONTIV_STORE_CA),
    ...pick('certFile', env.CONTIV_STORE_CERT),
    ...pick('keyFile', env.CONTIV_STORE_KEY),
    ...pick('user', env.CONTIV_STORE_USER),
    ...pick('password', env.CONTIV_STORE_PASSWORD),
    ...pick('passwordFile', env.CONTIV_STORE_PASSWORD_FILE),
  };
}

const pick = (name: string, value: string | undefined) => (value === undefined || value === '' ? {} : { [name]: value });

const DEFAULT_PREFIX = '/contiv';
const FORMS = 'use memory:, lmdb:///var/lib/contiv/store or etcd://host:2379,host:2379/prefix (https:// for TLS)';

/**
 * Reads `memory:`, `lmdb:///directory`, `etcd://host[:port][,…][/prefix]`; `http://` is the same as `etcd://`, `https://`
 * the same with TLS. Each endpoint may repeat the scheme, as in etcdctl's lists. Throws `StoreRequestError`.
 */
export function parseStoreUrl(url: string, credentials: StoreCredentials = {}): StoreLocation {
  if (url === 'memory:' || url === 'memory://') return { kind: 'memory' };
  if (url.startsWith('lmdb:')) {
    const path = url.replace(/^lmdb:(\/\/)?/, '');
    if (!path.startsWith('/'))
      throw new StoreRequestError(`store ${url}: an absolute directory is needed, as in lmdb:///var/lib/contiv/store`);
    return { kind: 'lmdb', path };
  }
  const match = /^(etcd|etcds|http|https):\/\/([^/]+(?:,(?:etcd|etcds|http|https):\/\/[^/,]+)*)(\/.*)?$/.exec(url);
  if (match === null) throw new StoreRequestError(`store ${withoutPassword(url)}: not understood; ${FORMS}`);
  const [, scheme = '', hosts = '', path = ''] = match;
  if (hosts.includes('@')) {
    throw new StoreRequestError(
      `store ${withoutPassword(url)}: credentials do not belong in a URL; set CONTIV_STORE_USER and CONTIV_STORE_PASSWORD_FILE`,
    );
  }
  const endpoints = hosts.split(',').map((host) => endpoint(url, host.replace(/^\w+:\/\//, '')));
  const prefix = path.replace(/\/+$/, '') === '' ? DEFAULT_PREFIX : path.replace(/\/+$/, '');
  const secure = scheme === 'https' || scheme === 'etcds';
  return { kind: 'etcd', options: { endpoints, prefix, ...tls(secure, credentials), ...auth(credentials) } };
}

function endpoint(url: string, host: string): string {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(host);
  const port = Number(match?.[2] ?? 2379);
  if (match === null || port < 1 || port > 65_535) throw new StoreRequestError(`store ${url}: ${host} is not host:port; ${FORMS}`);
  return `${match[1]}:${port}`;
}

function tls(secure: boolean, credentials: StoreCredentials): Pick<EtcdOptions, 'tls'> {
  const { caFile, certFile, keyFile } = credentials;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new StoreRequestError('a client certificate for the store needs its key too: set both CONTIV_STORE_CERT and CONTIV_STORE_KEY');
  }
  if (!secure) return {};
  return {
    tls: {
      ...(caFile === undefined ? {} : { ca: read(caFile) }),
      ...(certFile === undefined ? {} : { cert: read(certFile) }),
      ...(keyFile === undefined ? {} : { key: read(keyFile) }),
    },
  };
}

function auth(credentials: StoreCredentials): Pick<EtcdOptions, 'auth'> {
  const { user, password, passwordFile } = credentials;
  if (user === undefined) return {};
  const secret =
    password ??
    (passwordFile === undefined
      ? undefined
      : read(passwordFile)
          .toString()
          .replace(/\r?\n$/, ''));
  if (secret === undefined) throw new StoreRequestError(`user ${user} of the store has no password: set CONTIV_STORE_PASSWORD_FILE`);
  return { auth: { user, password: secret } };
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new StoreRequestError(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const withoutPassword = (url: string) => url.replace(/\/\/[^@]*@/g, '//…@');
