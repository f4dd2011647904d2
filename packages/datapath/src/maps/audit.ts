/** What a host's tables hold otherwise than they should, of what a connection depends on. Pure but for the look-ups. */
import type { Concern } from '../contract.js';
import { addressText, endpointKey, vtepBytes } from './layout.js';
import { describe, type KeyText, keyBytes, keyText, type TableName } from './tables.js';

/** `domains`: where the networks' addresses are looked up beyond them. */
export type Concerned = Concern & { readonly domains: readonly number[] };

/** @param live an entry as the kernel has it. */
export function audit(
  tables: Readonly<Record<TableName, ReadonlyMap<KeyText, Buffer>>>,
  live: (table: TableName, key: Buffer) => Buffer | undefined,
  concern: Concerned,
): string[] {
  const found: string[] = [];
  const places = new Set([...concern.networks, ...concern.domains]);
  const compare = (table: TableName, which: (key: Buffer, value: Buffer) => boolean) => {
    for (const [text, value] of tables[table]) {
      const key = keyBytes(text);
      if (!which(key, value)) continue;
      const held = live(table, key);
      if (!held) found.push(`${describe(table, key)} is missing`);
      else if (!held.equals(value)) found.push(`${describe(table, key)} was changed`);
    }
  };
  const addresses = new Set<string>(concern.addresses);
  const sets = new Set<number>();
  compare('networks', (key) => places.has(key.readUInt32LE(0)));
  compare('subnets', (key) => places.has(key.readUInt32LE(4)));
  compare('endpoints', (key) => places.has(key.readUInt32LE(0)) && addresses.has(addressText(key.subarray(4))));
  for (const place of places) {
    for (const address of concern.addresses) {
      const key = endpointKey(place, address);
      if (!tables.endpoints.has(keyText(key)) && live('endpoints', key)) found.push(`${describe('endpoints', key)} is strange`);
    }
  }
  const own = localPorts(tables.endpoints, places, addresses);
  compare('ports', (key) => own.has(key.readUInt32LE(0)));
  const vteps = new Set(concern.vteps.map((vtep) => keyText(vtepBytes(vtep))));
  compare('peers', (key) => vteps.has(keyText(key)));
  compare('subjects', (key, value) => {
    const concerned = concern.groups.includes(key.readUInt32LE(0));
    if (concerned) sets.add(value.readUInt32LE(0));
    return concerned;
  });
  compare('rules', (key) => sets.has(key.readUInt32LE(0)));
  compare('rule_addresses', (key) => sets.has(key.readUInt32BE(4) >>> 2));
  compare('rule_ports', (key) => sets.has(key.readUInt32BE(4) >>> 2));
  return [...new Set(found)];
}

/** Interfaces of this host behind which the addresses are. */
function localPorts(endpoints: ReadonlyMap<KeyText, Buffer>, places: ReadonlySet<number>, addresses: ReadonlySet<string>): Set<number> {
  const found = new Set<number>();
  for (const [text, value] of endpoints) {
    const key = keyBytes(text);
    const ifindex = value.readUInt32LE(0) & 0x7fff_ffff;
    if (places.has(key.readUInt32LE(0)) && addresses.has(addressText(key.subarray(4)))) found.add(ifindex);
  }
  return found;
}
