/** The store through which engines up to 20.10 share their networks (`dockerd --cluster-store etcd://HOST:PORT,…/PATH`). */
import { connect } from 'node:net';

const PATIENCE_MS = 2_000;

/** Its servers. */
export function serversOf(clusterStore: string): readonly { readonly host: string; readonly port: number }[] {
  const [, servers = ''] = /^[a-z]+:\/\/([^/]+)/.exec(clusterStore) ?? [];
  return servers.split(',').flatMap((server) => {
    const [, host = '', port = ''] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(server) ?? [];
    return host === '' ? [] : [{ host, port: Number(port) }];
  });
}

/** Does any of its servers take connections? An engine whose store does not lists none of the networks in it, as if there were none. */
export async function answers(clusterStore: string): Promise<boolean> {
  const servers = serversOf(clusterStore);
  const open = await Promise.all(servers.map(({ host, port }) => takesConnections(host, port)));
  return open.length === 0 || open.includes(true);
}

function takesConnections(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: PATIENCE_MS });
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}
