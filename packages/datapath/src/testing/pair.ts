/** Two hosts with a data path each and containers of two tenants on both, the tenants' addresses equal. */
import { type Ipv4, type Ipv6, type Mac, macOfIpv4, parsePrefix4, parsePrefix6, type Vni } from '@contiv/model';
import type { ApplyReport, DatapathNetwork, DesiredDatapath } from '../contract.js';
import { Container, Host, join, type Worker } from './hosts.js';

export type Side = 'one' | 'two';
export const VTEPS = {
  4: { one: '10.77.0.1' as Ipv4, two: '10.77.0.2' as Ipv4 },
  6: { one: '2001:db8:77::1' as Ipv6, two: '2001:db8:77::2' as Ipv6 },
} as const;
/** On the second host as well, and no VTEP. */
export const STRANGER = '10.77.0.99' as Ipv4;
export const RED = 100 as Vni;
export const BLUE = 200 as Vni;
const SIDES = ['one', 'two'] as const;
const other = (side: Side): Side => (side === 'one' ? 'two' : 'one');
const subnet = parsePrefix4('10.1.0.0/24');
const subnet6 = parsePrefix6('2001:db8:1::/64');

export interface Placed {
  readonly on: Side;
  readonly container: Container;
}

export class Pair {
  readonly hosts: Readonly<Record<Side, Host>>;
  readonly workers: Record<Side, Worker>;
  readonly placed: Placed[] = [];
  readonly instance: string;
  arpMode: 'proxy' | 'flood' = 'proxy';
  family: 4 | 6 = 4;

  private constructor(instance: string, hosts: Readonly<Record<Side, Host>>) {
    this.instance = instance;
    this.hosts = hosts;
    this.workers = { one: hosts.one.worker(), two: hosts.two.worker() };
  }

  /** @param places where each container is, the same addresses in both networks. */
  static async make(instance: string, places: readonly (readonly [vni: Vni, last: number, on: Side])[]): Promise<Pair> {
    const [one, two] = await Promise.all([Host.make('one'), Host.make('two')]);
    const pair = new Pair(instance, { one, two });
    try {
      await pair.#build(places);
      return pair;
    } catch (error) {
      await pair.destroy();
      throw error;
    }
  }

  async #build(places: readonly (readonly [vni: Vni, last: number, on: Side])[]): Promise<void> {
    const { one, two } = this.hosts;
    // As Docker has it: this host sends the short way, the other one through its tunnel device.
    await one.sh('echo 1 >/proc/sys/net/ipv4/ip_forward');
    join(one, two, 'eth1', [
      [`${VTEPS[4].one}/24`, `${VTEPS[4].two}/24`],
      [`${VTEPS[6].one}/64`, `${VTEPS[6].two}/64`],
    ]);
    await two.sh(`ip address add ${STRANGER}/24 dev eth1`);
    await this.open();
    await this.applyAll();
    for (const [vni, last, on] of places) await this.add(vni, last, on);
    await this.applyAll();
    await this.addressesReady();
  }

  options(side: Side) {
    return { vtepIp: VTEPS[this.family][side], vxlanPort: 8472, instance: this.instance };
  }

  /** @returns the MTU for containers. */
  async open(): Promise<number> {
    const [mtu] = await Promise.all(SIDES.map((side) => this.workers[side].call('open', this.options(side))));
    return mtu ?? 0;
  }

  /** Ends the worker as a crash would and starts another. */
  async restart(side: Side, object?: string): Promise<void> {
    await this.workers[side].kill();
    this.workers[side] = this.hosts[side].worker(object === undefined ? {} : { object });
    await this.workers[side].call('open', this.options(side));
  }

  async add(vni: Vni, last: number, on: Side): Promise<Container> {
    const ip = `10.1.0.${last}` as Ipv4;
    const mac: Mac = vni === RED ? macOfIpv4(ip) : (`02:bb:0a:01:00:0${last}` as Mac);
    const name = `cv${vni}x${last}`;
    const container = new Container({ name, vni, ip, ip6: `2001:db8:1::${last}` as Ipv6, mac, group: 0 });
    this.placed.push({ on, container });
    await this.workers[on].call('addPort', container.port, container.peer);
    container.plug(this.hosts[on]);
    return container;
  }

  /** The kernel uses a link-local address only when it has waited for objections. */
  async addressesReady(): Promise<void> {
    for (const { container } of this.placed) await container.sh('while ip -6 address show tentative | grep -q inet6; do sleep 0.05; done');
  }

  at(vni: Vni, last: number): Container {
    const found = this.placed.find(({ container: { port } }) => port.vni === vni && port.ip === `10.1.0.${last}`);
    if (!found) throw new Error(`no container ${last} in ${vni}`);
    return found.container;
  }

  desired(side: Side): DesiredDatapath {
    if (!subnet || !subnet6) throw new Error('prefixes');
    const far = VTEPS[this.family][other(side)];
    const network = (vni: Vni): DatapathNetwork => ({ vni, arpMode: this.arpMode, subnet, subnet6, floodTo: [far] });
    return {
      peers: [far],
      networks: [network(RED), network(BLUE)],
      ports: this.placed.filter(({ on }) => on === side).map(({ container }) => container.port),
      endpoints: this.placed.map(({ on, container: { port } }) => {
        const { name, ...addresses } = port;
        return { ...addresses, at: on === side ? { port: name } : { vtep: far } };
      }),
    };
  }

  apply(side: Side): Promise<ApplyReport> {
    return this.workers[side].call('apply', this.desired(side));
  }

  /** Both sides; nothing may fail. */
  async applyAll(): Promise<void> {
    for (const { failed } of await Promise.all(SIDES.map((side) => this.apply(side))))
      if (failed.length > 0) throw new Error(failed.join('\n'));
  }

  async destroy(): Promise<void> {
    for (const { container } of this.placed) container.remove();
    await Promise.all(SIDES.map((side) => this.hosts[side].destroy()));
  }
}
