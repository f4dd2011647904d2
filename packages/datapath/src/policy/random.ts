/** Random rules and packets, the same for the same seed, that meet often enough to be worth comparing. For tests and benchmarks. */
import type { Address, AddressRange, Opening, PolicyRule, PolicyService, PolicySet } from '@contiv/model';

export type Random = (below: number) => number;

/** xorshift32 */
export function randomOf(seed: number): Random {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

const pick = <T>(random: Random, list: readonly T[]): T => {
  const chosen = list[random(list.length)];
  if (chosen === undefined) throw new Error('nothing to choose from');
  return chosen;
};
const maybe = <T>(random: Random, one: number, make: () => T): T | undefined => (random(one) === 0 ? make() : undefined);
/** Lists as people write them: mostly short. */
const several = <T>(random: Random, make: () => T): T[] => Array.from({ length: pick(random, [1, 1, 2, 3, 12]) }, make);

const NET4 = 0x0a01_0000n;
const NET6 = 0x2001_0db8_0000_0000_0000_0000_0000_0000n;
const PROTOCOLS = [1, 6, 17, 58, 132];
const PORTED = [6, 17, 132];

const LAST = { 4: (1n << 32n) - 1n, 6: (1n << 128n) - 1n } as const;
const address = (random: Random): Address =>
  random(2) === 0 ? { family: 4, value: NET4 + BigInt(random(64)) } : { family: 6, value: NET6 + BigInt(random(64)) };

function range(random: Random): AddressRange {
  const { family, value } = address(random);
  if (random(12) === 0) return { family, first: 0n, last: LAST[family] };
  const length = pick(random, [0n, 0n, 3n, 7n, 15n, 40n, 1_000_000n]);
  return { family, first: value, last: value + length };
}

function service(random: Random): PolicyService {
  if (random(3) === 0) return { protocol: pick(random, PROTOCOLS) };
  const first = 8_000 + random(12);
  return { protocol: pick(random, PORTED), ports: { first, last: pick(random, [first, first, first + random(9), 65_535]) } };
}

const rule = (random: Random, number: number): PolicyRule => ({
  way: pick(random, ['in', 'out'] as const),
  rank: 1 + random(6),
  deny: random(2) === 0,
  number,
  groups: maybe(random, 3, () => several(random, () => 1 + random(4))),
  peers: maybe(random, 2, () => several(random, () => range(random))),
  own: maybe(random, 6, () => several(random, () => range(random))),
  services: maybe(random, 2, () => several(random, () => service(random))),
});

export function randomSet(seed: number): PolicySet {
  const random = randomOf(seed);
  const count = pick(random, [1, 2, 5, 12, 40]);
  return { rules: Array.from({ length: count }, (_, i) => rule(random, i + 1)), denies: random(3) === 0 };
}

/** Packets at the edges of what the rules speak of, and anywhere else. */
export function openings(set: PolicySet, seed: number, count: number): Opening[] {
  const random = randomOf(seed + 7_919);
  const edges = (ranges: readonly (AddressRange | undefined)[]): Address[] =>
    ranges
      .flatMap((r) => (r ? [r.first - 1n, r.first, r.last, r.last + 1n].map((value): Address => ({ family: r.family, value })) : []))
      .filter(({ family, value }) => value >= 0n && value <= LAST[family]);
  const peers = edges(set.rules.flatMap((r) => r.peers ?? []));
  const own = edges(set.rules.flatMap((r) => r.own ?? []));
  const ports = set.rules
    .flatMap((r) => r.services ?? [])
    .flatMap((s) => (s.ports ? [s.ports.first - 1, s.ports.first, s.ports.last, s.ports.last + 1] : []))
    .filter((port) => port <= 65_535);
  const near = (list: readonly Address[]) => (list.length > 0 && random(3) > 0 ? pick(random, list) : address(random));
  return Array.from({ length: count }, () => {
    const peer = near(peers);
    let mine = near(own);
    // Both ends of a packet are of one family.
    while (mine.family !== peer.family) mine = address(random);
    const protocol = pick(random, PROTOCOLS);
    const port = ports.length > 0 && random(3) > 0 ? pick(random, ports) : 8_000 + random(20);
    return {
      way: pick(random, ['in', 'out'] as const),
      group: random(5),
      peer,
      own: mine,
      protocol,
      port: PORTED.includes(protocol) ? port : 0,
    };
  });
}
