/** Names of networks made by `docker network create`: Docker allows more than netmaster does. Pure. */
import { createHash } from 'node:crypto';

const MAX_NAME = 64;

/** Name of such a network at netmaster until the engine has told its Docker name. */
export const provisionalName = (networkId: string): string => `docker-${networkId.slice(0, 12).toLowerCase()}`;

/**
 * The netmaster name for a Docker network name: letters, digits and inner hyphens as they are, everything else (`_`, `.`, `/`, …) a
 * hyphen, hyphens at the ends and runs of them dropped, at most 64 characters. `proj_net` becomes `proj-net`. Where that is taken by
 * another network, `legalName(name, id)` appends six digits of the Docker network's id.
 */
export function legalName(dockerName: string, networkId = ''): string {
  const suffix = networkId === '' ? '' : `-${networkId.slice(0, 6).toLowerCase()}`;
  const plain = dockerName
    .replaceAll(/[^a-zA-Z0-9-]/g, '-')
    .replaceAll(/-+/g, '-')
    .slice(0, MAX_NAME - suffix.length)
    .replaceAll(/^-+|-+$/g, '');
  if (plain !== '') return plain + suffix;
  return `net-${createHash('sha256').update(dockerName).digest('hex').slice(0, 8)}${suffix}`;
}
