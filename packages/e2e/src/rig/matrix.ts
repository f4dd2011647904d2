/** Three tenants, three groups each, three containers each, on two hosts; what they reach of each other, and what they should. */
import { GROUPS, NETWORK, NOTHING, SUBNET, SUBNET6, TENANTS } from './policy-cases.js';
import { changes, mayOpen, type World } from './policy-model.js';
import { KINDS, type Kind, type Probe, Prober } from './prober.js';
import { MASTER, NETMASTER, Rig, WORKER } from './rig.js';
import { eventually, succeed } from './run.js';

export interface Box {
  readonly name: string;
  readonly host: string;
  readonly number: number;
  readonly tenant: string;
  group: string;
  readonly ip: string;
  /** Docker and netmaster hand out the lowest free one. */
  ip6: string;
}

export const HOSTS = [MASTER, WORKER] as const;
/** A machine under load may take a while to bring a change to both hosts. */
const HOLDS_MS = 60_000;
/** Usually both hosts have a change by then, and the first look is the last. */
const SETTLES_MS = 200;

/** Can packets go from one to the other at all? */
export type Alive = (from: Box, to: Box) => boolean;

const boxes = (): Box[] =>
  TENANTS.flatMap((tenant, t) =>
    GROUPS.flatMap((group, g) =>
      [1, 2, 3].map((i) => {
        const number = t * 9 + g * 3 + i;
        // Alpha and beta have the same addresses, gamma others of the same subnet.
        const last = (tenant === 'gamma' ? 130 : 0) + 10 * (g + 1) + i;
        return {
          name: `${tenant}-${group}${i}`,
          host: number % 2 === 0 ? WORKER : MASTER,
          number,
          tenant,
          group,
          ip: `10.1.2.${last}`,
          ip6: '',
        };
      }),
    ),
  );

const isSix = (kind: Kind): boolean => kind.endsWith('6');
const addressOf = (box: Box, kind: Kind): string => (isSix(kind) ? box.ip6 : box.ip);
const portsOf = (kind: Kind): readonly number[] => (/^(tcp|udp)/.test(kind) ? [80, 81] : [kind.startsWith('sctp') ? 80 : 0]);

interface Planned {
  readonly box: Box;
  readonly probe: Probe;
  /** Who has to answer; undefined for nobody. */
  readonly answerer: string | undefined;
}

export class Matrix {
  readonly rig: Rig;
  readonly #boxes = boxes();
  readonly #probers = new Map<string, Prober>();
  #now: World = NOTHING;
  /** A host that is there no more: nobody is asked there, and nobody answers. */
  #lost: string | undefined;

  constructor(name: string) {
    this.rig = new Rig(name);
  }

  prober(host: string): Prober {
    const found = this.#probers.get(host);
    if (!found) throw new Error(`no prober on ${host}`);
    return found;
  }

  named(name: string): Box {
    const box = this.#boxes.find((b) => b.name === name);
    if (!box) throw new Error(`no container ${name}`);
    return box;
  }

  async up(...options: readonly string[]): Promise<void> {
    const { rig } = this;
    await rig.up(...options);
    for (const host of HOSTS) this.#probers.set(host, new Prober(rig, host));
    for (const tenant of TENANTS) {
      await rig.netctl('tenant', 'create', tenant);
      await rig.netctl('net', 'create', '-t', tenant, '-s', SUBNET, '-s6', SUBNET6, NETWORK);
      for (const group of GROUPS) await rig.netctl('group', 'create', '-t', tenant, NETWORK, group);
    }
    const networks = TENANTS.flatMap((tenant) => GROUPS.map((group) => `${group}/${tenant}`));
    for (const host of HOSTS) await eventually('networks', () => rig.docker(host, 'network', 'inspect', ...networks));
    // One engine starts one after the other anyway.
    await Promise.all(
      HOSTS.map(async (host) => {
        for (const box of this.#boxes) if (box.host === host) await this.#start(box);
      }),
    );
  }

  down(): Promise<void> {
    return this.rig.down();
  }

  async #start(box: Box): Promise<void> {
    const net = `${box.group}/${box.tenant}`;
    await this.rig.docker(box.host, 'run', '-d', '--name', box.name, '--net', net, '--ip', box.ip, 'alpine', 'sleep', '86400');
    await this.#learn(box);
  }

  async #learn(box: Box): Promise<void> {
    const format = '{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}';
    const [pid = '', ip6 = ''] = (await this.rig.docker(box.host, 'inspect', '--format', format, box.name)).split(' ');
    box.ip6 = ip6;
    await this.prober(box.host).enter(box.name, pid, box.number);
  }

  async restart(name: string): Promise<void> {
    const box = this.named(name);
    await this.rig.docker(box.host, 'restart', '-t', '0', name);
    await this.#learn(box);
  }

  /** Into another group, without being stopped. */
  async move(name: string, group: string): Promise<void> {
    const box = this.named(name);
    await this.rig.docker(box.host, 'network', 'disconnect', `${box.group}/${box.tenant}`, name);
    // Leaving does not wait long for a netmaster that is slow to hear of it.
    await eventually('its address is free', () =>
      this.rig.docker(box.host, 'network', 'connect', '--ip', box.ip, `${group}/${box.tenant}`, name),
    );
    box.group = group;
    await this.#learn(box);
  }

  /** Gives a container the MAC address of a neighbour that need not be there yet. */
  async knows(name: string, address: string, mac: string): Promise<void> {
    const { host } = this.named(name);
    const neighbour = ['ip', 'neigh', 'replace', address, 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent'];
    await this.rig.on(host, 'nsenter', '-t', await this.rig.pidOf(host, name), '-n', ...neighbour);
  }

  /** A host dies with all that ran there, and comes back with its disk; its containers are started again. */
  async lose(host: string, meanwhile: () => Promise<void>): Promise<void> {
    const { rig } = this;
    await rig.lab('host', 'destroy', host);
    this.#lost = host;
    await meanwhile();
    await rig.lab('host', 'restore', host);
    this.#probers.set(host, new Prober(rig, host));
    const here = this.#boxes.filter((box) => box.host === host);
    await rig.docker(host, 'start', ...here.map((box) => box.name));
    for (const box of here) await this.#learn(box);
    this.#lost = undefined;
  }

  /** All in one connection to netmaster. */
  async become(next: World): Promise<void> {
    const words = changes(this.#now, next, NETWORK).flatMap(({ method, path, body }, i) => [
      ...(i === 0 ? ['--fail-early'] : ['--next']),
      '-sS',
      '--fail-with-body',
      '-X',
      method,
      ...(body === undefined ? [] : ['-d', JSON.stringify(body)]),
      NETMASTER + path,
    ]);
    if (words.length > 0) await succeed('netmaster', this.rig.inside(['curl', ...words]));
    this.#now = next;
    await new Promise((wake) => setTimeout(wake, SETTLES_MS));
  }

  /** Every probe there is. */
  #plan(alive: Alive): Planned[] {
    const may = (from: Box, to: Box, kind: Kind, port: number) => {
      const [a, b] = [from, to].map((box) => ({ tenant: box.tenant, group: box.group, address: addressOf(box, kind) }));
      return a !== undefined && b !== undefined && mayOpen(this.#now, [SUBNET, SUBNET6], a, b, { kind, port });
    };
    return KINDS.flatMap((kind) => {
      const addresses = [...new Set(this.#boxes.map((box) => addressOf(box, kind)))];
      return this.#boxes.flatMap((from) =>
        addresses
          .filter((address) => address !== addressOf(from, kind))
          .flatMap((address) =>
            portsOf(kind).map((port) => {
              const to = this.#boxes.find((box) => box.tenant === from.tenant && addressOf(box, kind) === address);
              // Without ports, whoever of the two speaks first, they have one conversation.
              const opened = to && (may(from, to, kind, port) || (kind.startsWith('253') && may(to, from, kind, port)));
              const answerer = to && opened && alive(from, to) ? (kind.startsWith('ping') ? '-' : to.name) : undefined;
              return { box: from, probe: { from: from.name, kind, address, port, wanted: answerer !== undefined }, answerer };
            }),
          ),
      );
    });
  }

  /** Differences between what is reached and what should be. */
  async #differences(alive: Alive): Promise<string[]> {
    const lost = this.#lost;
    const planned = this.#plan((from, to) => from.host !== lost && to.host !== lost && alive(from, to));
    const found = await Promise.all(
      HOSTS.filter((host) => host !== lost).map(async (host) => {
        const here = planned.filter(({ box }) => box.host === host).sort((a, b) => a.box.number - b.box.number);
        const answers = await this.prober(host).probe(here.map(({ probe }) => probe));
        return here.flatMap(({ probe, answerer }, i) =>
          answers.get(i) === answerer
            ? []
            : [`${probe.from} → ${probe.address} ${probe.kind} ${probe.port}: ${answers.get(i) ?? 'nobody'}, not ${answerer ?? 'nobody'}`],
        );
      }),
    );
    return found.flat();
  }

  /** Waits until what is reached is what should be; throws the first differences when that does not come. */
  async holds(alive: Alive = () => true): Promise<void> {
    await eventually(
      'the matrix',
      async () => {
        const differences = await this.#differences(alive);
        if (differences.length > 0) throw new Error(`${differences.length} differences:\n${differences.slice(0, 40).join('\n')}`);
      },
      HOLDS_MS,
      50,
    );
  }

  /** Connections tried all the time while `work` is done; how many were, and how many succeeded, in the order of `probes`. */
  async meanwhile(probes: readonly Omit<Probe, 'wanted'>[], work: () => Promise<void>) {
    const drips = probes.map((probe, i) => ({ probe, id: `drip${i}`, at: this.prober(this.named(probe.from).host) }));
    for (const { at, id, probe } of drips) await at.drip(id, probe);
    await work();
    const counts: { readonly sent: number; readonly answered: number }[] = [];
    for (const { at, id } of drips) counts.push(await at.stop(id));
    return counts;
  }
}
