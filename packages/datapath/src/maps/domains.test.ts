import type { Prefix4, Vni } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DatapathNetwork } from '../contract.js';
import { DOMAIN_BIT } from './layout.js';
import { numberDomains } from './tables.js';

const subnet: Prefix4 = { address: '10.1.0.0' as Prefix4['address'], length: 24 };
const network = (vni: number, domain?: string): DatapathNetwork => ({
  vni: vni as Vni,
  arpMode: 'proxy',
  subnet,
  floodTo: [],
  ...(domain === undefined ? {} : { domain }),
});
const nothing = () => undefined;

describe('numberDomains', () => {
  it('gives one number to the networks of a domain, and leaves a bridged network to itself', () => {
    const numbers = numberDomains([network(1, 'red'), network(2, 'red'), network(3, 'blue'), network(4)], nothing);
    expect([...numbers.values()]).toEqual([DOMAIN_BIT + 1, DOMAIN_BIT + 1, DOMAIN_BIT + 2, 4]);
  });

  it('keeps the number of a domain that is at work, whatever comes before it', () => {
    const before = numberDomains([network(5, 'red')], nothing);
    const after = numberDomains([network(1, 'amber'), network(4, 'red'), network(5, 'red')], (vni) => before.get(vni));
    expect(after.get(5 as Vni)).toBe(before.get(5 as Vni));
    expect(after.get(4 as Vni)).toBe(before.get(5 as Vni));
    expect(after.get(1 as Vni)).not.toBe(before.get(5 as Vni));
  });

  it('never gives two domains one number, not even when a VNI went from the one to the other', () => {
    const networks = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.option(fc.constantFrom('red', 'blue', 'green'))), {
      selector: ([vni]) => vni,
    });
    fc.assert(
      fc.property(networks, networks, (first, second) => {
        const list = (all: typeof first) => all.map(([vni, domain]) => network(vni, domain ?? undefined));
        const before = numberDomains(list(first), nothing);
        const after = numberDomains(list(second), (vni) => before.get(vni));
        const domains = new Map<number, string>();
        for (const { vni, domain } of list(second)) {
          const number = after.get(vni) ?? 0;
          if (domain === undefined) expect(number).toBe(vni);
          else expect(domains.get(number) ?? domain).toBe(domain);
          if (domain !== undefined) domains.set(number, domain);
        }
      }),
    );
  });
});
