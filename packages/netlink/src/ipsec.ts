/** IPsec of a network namespace, as `ip xfrm policy` lists it (`<linux/xfrm.h>`). */
import { isErrno } from '@contiv/syscall';
import { NetlinkSocket } from './socket.js';

const NETLINK_XFRM = 6;
const XFRM_MSG_GETPOLICY = 0x15;

/** Are there policies that say what has to be encrypted? @param netns path of a network namespace; default the current one. */
export function hasIpsecPolicies(netns?: string): boolean {
  let socket: NetlinkSocket;
  try {
    socket = NetlinkSocket.open(netns, NETLINK_XFRM);
  } catch (error) {
    // A kernel without IPsec.
    if (isErrno(error, 'EPROTONOSUPPORT')) return false;
    throw error;
  }
  try {
    return socket.dump('list IPsec policies', XFRM_MSG_GETPOLICY, Buffer.alloc(4)).length > 0;
  } finally {
    socket.close();
  }
}
