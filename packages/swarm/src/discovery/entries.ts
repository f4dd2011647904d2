/** Discovery addresses and URLs (spec/swarm.md 5.1, 1.7). Pure. */
export type DiscoveryUrl =
  | { readonly scheme: 'nodes'; readonly addresses: readonly string[] }
  | { readonly scheme: 'file'; readonly path: string }
  | { readonly scheme: 'etcd'; readonly endpoints: string; readonly prefix: string };

const GONE: Readonly<Record<string, string>> = {
  token: 'token:// is not supported: the hosted token service was shut down in 2019; use nodes://, file:// or etcd:// instead',
  consul: 'consul:// is not supported; use etcd:// (v3), file:// or nodes:// instead',
  zk: 'zk:// is not supported; use etcd:// (v3), file:// or nodes:// instead',
};

/** @throws Error */
export function parseDiscovery(uri: string): DiscoveryUrl {
  const match = /^([a-z]+):\/\/(.*)$/s.exec(uri);
  const scheme = match?.[1] ?? 'nodes';
  const rest = match?.[2] ?? uri;
  const gone = GONE[scheme];
  if (gone !== undefined) throw new Error(gone);
  switch (scheme) {
    case 'nodes':
      return {
        scheme,
        addresses: rest
          .split(',')
          .filter((item) => item.trim() !== '')
          .flatMap((item) => expandRange(item.trim()))
          .map(checkAddress),
      };
    case 'file':
      return { scheme, path: rest };
    case 'etcd': {
      const slash = rest.indexOf('/');
      return {
        scheme,
        endpoints: slash < 0 ? rest : rest.slice(0, slash),
        prefix: slash < 0 ? '' : rest.slice(slash + 1).replace(/\/+$/, ''),
      };
    }
    default:
      throw new Error('discovery service not supported');
  }
}

/** `10.0.0.[10:12]:2375` → three; a malformed range stays as it is. */
export function expandRange(text: string): string[] {
  const match = /^(.*?)\[(\d{1,9}):(\d{1,9})\](.*)$/.exec(text);
  if (match === null) return [text];
  const [, before = '', from = '', to = '', after = ''] = match;
  const count = Number(to) - Number(from) + 1;
  if (count < 1 || count > 65_536) return [text];
  return Array.from({ length: count }, (_, i) => `${before}${Number(from) + i}${after}`);
}

/** Lines of a discovery file: `#` begins a comment. */
export function parseFile(text: string): string[] {
  const lines = text.split('\n').map((line) => line.replace(/#.*$/, '').trim());
  return [...new Set(lines.filter((line) => line !== '').flatMap(expandRange))].filter((line) => isHostPort(line));
}

/** @throws Error */
function checkAddress(address: string): string {
  if (!isHostPort(address)) {
    throw new Error(`address ${address}: missing port in address, please check you are using the correct discovery (missing token:// ?)`);
  }
  return address;
}

export function isHostPort(text: string): boolean {
  const match = /^(?:\[[0-9a-fA-F:.%\w]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[1]);
  return match !== null && port >= 1 && port <= 65_535;
}
