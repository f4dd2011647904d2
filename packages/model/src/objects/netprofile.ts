import { z } from 'zod';
import { link, linkSet } from './links.js';
import { freeText, label, matching, postedKey, whole } from './primitives.js';

const BANDWIDTH = /^([1-9][0-9]* ?[kmgKMG](bps|b)?)?$/;

/** What a client posts to `netprofiles/{tenantName:profileName}`. */
export const netprofileInput = z.object({
  key: postedKey,
  /** IP DSCP (RFC 2474); 0 leaves packets as they are. */
  DSCP: whole('DSCP', 0, 63),
  /** `10Mbps`; empty for no limit. */
  bandwidth: matching('bandwidth', BANDWIDTH, 64, 'a number and a unit: 500kbps, 10Mbps or 1g'),
  /** Kilobytes. */
  burst: whole('burst', 0, 10_486),
  profileName: label('profileName', 64),
  tenantName: freeText('tenantName', 64),
});
export type NetprofileInput = z.infer<typeof netprofileInput>;

/** A network profile as `GET` answers it. */
export const netprofileObject = z.object({
  key: z.string(),
  DSCP: z.number().optional(),
  bandwidth: z.string().optional(),
  burst: z.number().optional(),
  profileName: z.string(),
  tenantName: z.string(),
  'link-sets': z.object({ EndpointGroups: linkSet.optional() }),
  links: z.object({ Tenant: link }),
});
export type Netprofile = z.infer<typeof netprofileObject>;

const UNITS: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** Bits per second of a bandwidth text, counted in powers of 1,024 as Contiv does; 0 for no limit. */
export function bandwidthBits(text: string): number {
  const unit = UNITS[(/[kmg]/i.exec(text)?.[0] ?? '').toLowerCase()];
  return unit === undefined ? 0 : Number.parseInt(text, 10) * unit;
}
