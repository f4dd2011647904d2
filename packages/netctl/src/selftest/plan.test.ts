import { describe, expect, test } from 'vitest';
import { planOf, runName, runOf } from './plan.js';
import { ALL_PAIRS, probesOf, type Running, targets } from './probes.js';

const RUN = runName('0123abcd');
const plan = (places: number, vlan?: number) => planOf(RUN, { places, vlan, ipv6: true });

/** All its containers, each on a host of its own place. */
const running = (places: number): Running[] =>
  plan(places).boxes.map((box) => ({ box, host: `node${box.place}`, ip6: `2001:2:0:18::${box.place}:${box.role.length}` }));
const probes = (places: number, routing = false) => {
  const known = running(places);
  return probesOf({ ...plan(places), boxes: known.map(({ box }) => box) }, known, { mtu: new Map([['vxlan', 1450]]), routing });
};

describe('plan', () => {
  test('only tenants of a run are taken for ones', () => {
    expect([RUN, `${RUN}-twin`].map(runOf)).toEqual([RUN, RUN]);
    expect(['selftest', 'selftest-office', 'selftest-0123abcd-x', 'x-selftest-0123abcd', 'selftest-0123ABCD'].map(runOf)).toEqual(
      Array(5).fill(undefined),
    );
  });

  test.each([1, 2, 3, 300])(
    '%i hosts: names are unique, and addresses within a tenant; twins have addresses of the other tenant',
    (places) => {
      const { boxes, tenant, twin } = plan(places);
      expect(new Set(boxes.map(({ name }) => name)).size).toBe(4 * places);
      for (const of of [tenant, twin]) {
        const own = boxes.filter((box) => box.tenant === of).map(({ ip }) => ip);
        expect(new Set(own).size).toBe(own.length);
      }
      const open = new Set(boxes.filter(({ role }) => role === 'open').map(({ ip }) => ip));
      const twins = boxes.filter(({ role }) => role === 'twin').map(({ ip }) => ip);
      expect(new Set(twins)).toEqual(open);
      for (const { ip } of boxes) expect(ip).toMatch(/^198\.1[89]\.\d+\.\d+$/);
    },
  );

  test('a VLAN takes the place of the second VXLAN', () => {
    expect(plan(2).networks.map(({ network, encap, tag }) => [network, encap, tag])).toEqual([
      ['vxlan', 'vxlan', 0],
      ['vxlan2', 'vxlan', 0],
      ['vxlan', 'vxlan', 0],
    ]);
    expect(plan(2, 112).networks[1]).toMatchObject({ network: 'vlan', encap: 'vlan', tag: 112, subnet6: '' });
  });
});

describe('probes', () => {
  test('two hosts: each check between the hosts goes both ways, and nothing is asked of oneself', () => {
    const all = probes(2);
    const across = all.filter(({ from, to }) => from.place !== to.place);
    for (const what of new Set(across.map(({ check }) => `${check.network} ${check.what}`))) {
      const ways = across.filter(({ check }) => `${check.network} ${check.what}` === what).map(({ from }) => from.place);
      expect(new Set(ways), what).toEqual(new Set([0, 1]));
    }
    expect(all.filter(({ from, to }) => from === to)).toEqual([]);
  });

  test('what must be silent: denied ports, pings and names, and the other tenant', () => {
    const silent = probes(2).filter(({ check }) => !check.answer);
    expect(new Set(silent.map(({ check }) => check.what))).toEqual(
      new Set([
        'tcp/8001, denied by policy',
        'ping, denied by policy',
        'tcp/8001, IPv6, denied by policy',
        "ping to the other tenant's",
        "tcp/8000 to the other tenant's",
        "name of the other tenant's",
      ]),
    );
    // Nobody of the asking tenant has the address, or it would be right to answer.
    const twins = new Set(probes(2).flatMap(({ from }) => (from.role === 'twin' ? [from.ip] : [])));
    for (const { from, to } of silent) if (from.tenant !== to.tenant) expect(twins.has(to.ip)).toBe(false);
  });

  test('who may ping somebody may be somebody who must not be pinged, on one host and across', () => {
    const pings = probes(3).filter(({ check, sent }) => sent.kind === 'ping' && check.network === 'vxlan');
    const ways = (answer: boolean) =>
      new Set(pings.filter(({ check }) => check.answer === answer).map(({ from, to }) => `${from.name} ${to.name}`));
    const [allowed, denied] = [ways(true), ways(false)];
    for (const place of [0, 1, 2]) {
      const [open, guarded] = ['open', 'guarded'].map((role) => plan(3).boxes.find((b) => b.place === place && b.role === role)?.name);
      expect(allowed).toContain(`${guarded} ${open}`);
      expect(denied).toContain(`${open} ${guarded}`);
    }
    expect(denied.size).toBe(3 * 5);
  });

  test('networks reach each other by the gateway in routing mode only, large pings have the size the network carries', () => {
    expect(probes(2).filter(({ check }) => check.what.includes('gateway'))).toEqual([]);
    expect(probes(2, true).filter(({ check }) => check.what.includes('gateway'))).toHaveLength(4);
    const sizes = probes(2).flatMap(({ sent }) => (sent.kind === 'ping' && sent.size !== undefined ? [sent.size] : []));
    expect(new Set(sizes)).toEqual(new Set([1450]));
  });

  test('a container that did not start is neither asked nor asks', () => {
    const known = running(2).filter(({ box }) => box.name !== `${RUN}-2-guarded`);
    const asked = probesOf(plan(2), known, { mtu: new Map(), routing: false });
    expect(asked.some(({ from, to }) => [from.name, to.name].includes(`${RUN}-2-guarded`))).toBe(false);
    expect(asked.some(({ from, to }) => from.place === 0 && to.place === 1)).toBe(true);
  });

  test('many hosts are not asked in all pairs, but each both asks and is asked, symmetrically', () => {
    expect(targets(3, ALL_PAIRS)).toHaveLength(ALL_PAIRS);
    for (let place = 0; place < 200; place++) {
      const near = targets(place, 200);
      expect(near).toContain(place);
      expect(near.length).toBeLessThan(20);
      for (const target of near) expect(targets(target, 200)).toContain(place);
    }
  });
});
