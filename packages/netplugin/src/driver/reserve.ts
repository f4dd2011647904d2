/** A TCP port of IPv6 that is taken, and whose callers are refused. */
import { type Ipv6, ipv6Bytes } from '@contiv/model';
import { AF_INET6, bind, close, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_STREAM, setSocketOption, socket } from '@contiv/syscall';

/**
 * Bound and not listening: nobody else gets the port, and who calls is told at once that nobody listens, so that it goes on to IPv4. A
 * listener would have to accept, and close, by which a caller of `localhost` believes that the container broke off.
 * Throws `SyscallError`: EADDRINUSE also while a connection of an earlier listener is being forgotten.
 * @returns what gives it back.
 */
export function reserveTcp6(address: Ipv6, port: number): () => void {
  const fd = socket(AF_INET6, SOCK_STREAM, 0);
  try {
    setSocketOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    // struct sockaddr_in6: family, port in network order, flow, address, scope.
    const name = Buffer.alloc(28);
    name.writeUInt16LE(AF_INET6, 0);
    name.writeUInt16BE(port, 2);
    name.set(ipv6Bytes(address), 8);
    bind(fd, name);
  } catch (error) {
    close(fd);
    throw error;
  }
  return () => close(fd);
}
