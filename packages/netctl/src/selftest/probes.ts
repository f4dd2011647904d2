/** Who asks whom what, and what should come of it. Pure. */
import { ALLOWED_PORT, type Box, DENIED_PORT, type Plan } from './plan.js';

/** What is sent. */
export type Sent =
  | { readonly kind: 'ping'; readonly address: string /** Bytes of the whole IP packet; a small one without. */; readonly size?: number }
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  /** Resolution of the name. */
  | { readonly kind: 'name'; readonly name: string };

/** A line of the table. */
export interface Check {
  /** Network, or `twin` for what must stay between tenants. */
  readonly network: string;
  readonly what: string;
  /** Must it be answered, and by whom it is meant for? */
  readonly answer: boolean;
}

export interface Probe {
  readonly check: Check;
  readonly from: Box;
  /** Whose name or address it is; in another tenant where it must not be found. */
  readonly to: Box;
  readonly sent: Sent;
}

/** A container as it runs. */
export interface Running {
  readonly box: Box;
  readonly host: string;
  /** Empty when it has none. */
  readonly ip6: string;
}

export interface Circumstances {
  /** What networks promise to carry in one piece, by name. */
  readonly mtu: ReadonlyMap<string, number>;
  /** Do the networks of a tenant reach each other? In bridge mode whatever is asked for would leave by the host. */
  readonly routing: boolean;
}

/** Above this many hosts each asks those at a distance of 1, 2, 4, …, in both directions, instead of all. */
export const ALL_PAIRS = 24;

/** Places that `place` asks, itself among them. */
export function targets(place: number, places: number): number[] {
  if (places <= ALL_PAIRS) return Array.from({ length: places }, (_, i) => i);
  const out = new Set([place]);
  for (let distance = 1; distance < places; distance *= 2) {
    out.add((place + distance) % places);
    out.add((place - distance + places) % places);
  }
  return [...out].toSorted((a, b) => a - b);
}

export function probesOf(plan: Plan, running: readonly Running[], { mtu, routing }: Circumstances): Probe[] {
  const [first, second] = plan.networks;
  if (first === undefined || second === undefined) return [];
  const places = Math.max(0, ...plan.boxes.map(({ place }) => place + 1));
  const at = new Map(running.map((r) => [`${r.box.place} ${r.box.role}`, r]));
  const out: Probe[] = [];
  const ask = (
    network: string,
    what: string,
    answer: boolean,
    from: Running | undefined,
    to: Running | undefined,
    sent: (to: Running) => Sent,
  ) => {
    if (from === undefined || to === undefined || from === to) return;
    out.push({ check: { network, what, answer }, from: from.box, to: to.box, sent: sent(to) });
  };
  const ping = ({ box }: Running): Sent => ({ kind: 'ping', address: box.ip });
  const tcp =
    (port: number) =>
    ({ box }: Running): Sent => ({ kind: 'tcp', address: box.ip, port });
  const name = ({ box }: Running): Sent => ({ kind: 'name', name: box.name });

  for (const place of Array.from({ length: places }, (_, i) => i)) {
    const [open, guarded, other, twin] = (['open', 'guarded', 'other', 'twin'] as const).map((role) => at.get(`${place} ${role}`));
    for (const target of targets(place, places)) {
      const [toOpen, toGuarded, toOther, toTwin] = (['open', 'guarded', 'other', 'twin'] as const).map((role) =>
        at.get(`${target} ${role}`),
      );
      const vxlan = first.network;
      const size = mtu.get(vxlan);
      // On its own host it would ask itself.
      const asker = place === target ? guarded : open;
      ask(vxlan, 'ping', true, asker, toOpen, ping);
      if (size !== undefined) ask(vxlan, largeText(size), true, asker, toOpen, large(size));
      ask(vxlan, 'name', true, asker, toOpen, name);
      ask(vxlan, `tcp/${DENIED_PORT}, no policy`, true, asker, toOpen, tcp(DENIED_PORT));
      for (const from of [open, guarded]) {
        ask(vxlan, `tcp/${ALLOWED_PORT}, allowed by policy`, true, from, toGuarded, tcp(ALLOWED_PORT));
        ask(vxlan, `tcp/${DENIED_PORT}, denied by policy`, false, from, toGuarded, tcp(DENIED_PORT));
        ask(vxlan, 'ping, denied by policy', false, from, toGuarded, ping);
      }
      if (first.subnet6 !== '' && toOpen?.ip6 !== '' && toGuarded?.ip6 !== '') {
        const ping6 = ({ ip6 }: Running): Sent => ({ kind: 'ping', address: ip6 });
        const tcp6 =
          (port: number) =>
          ({ ip6 }: Running): Sent => ({ kind: 'tcp', address: ip6, port });
        ask(vxlan, 'ping, IPv6', true, asker, toOpen, ping6);
        ask(vxlan, `tcp/${ALLOWED_PORT}, IPv6, allowed by policy`, true, open, toGuarded, tcp6(ALLOWED_PORT));
        ask(vxlan, `tcp/${DENIED_PORT}, IPv6, denied by policy`, false, open, toGuarded, tcp6(DENIED_PORT));
      }
      const otherSize = mtu.get(second.network);
      ask(second.network, 'ping', true, other, toOther, ping);
      if (otherSize !== undefined) ask(second.network, largeText(otherSize), true, other, toOther, large(otherSize));
      ask(second.network, `tcp/${ALLOWED_PORT}`, true, other, toOther, tcp(ALLOWED_PORT));
      if (routing) ask(second.network, `ping from ${vxlan}, by the gateway`, true, open, toOther, ping);
      ask('twin', `tcp/${ALLOWED_PORT}, the same addresses`, true, twin, toTwin, tcp(ALLOWED_PORT));
      ask('twin', "ping to the other tenant's", false, twin, toGuarded, ping);
      ask('twin', `tcp/${ALLOWED_PORT} to the other tenant's`, false, twin, toGuarded, tcp(ALLOWED_PORT));
      ask('twin', "name of the other tenant's", false, twin, toGuarded, name);
    }
  }
  return out;
}

const largeText = (size: number): string => `ping of ${size} bytes, in one piece`;
/** Linux forbids fragmentation (DF) of echo requests that fit its own link, which this size does. */
const large =
  (size: number) =>
  ({ box }: Running): Sent => ({ kind: 'ping', address: box.ip, size });
