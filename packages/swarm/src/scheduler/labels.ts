/** Scheduling requirements: environment entries move into labels, where they stay readable (spec/swarm.md 3.2). */
export const SWARM_ID = 'com.docker.swarm.id';
export const TASK_LABEL = 'com.docker.swarm.task';
const LABELS = {
  affinity: 'com.docker.swarm.affinities',
  constraint: 'com.docker.swarm.constraints',
  reschedule: 'com.docker.swarm.reschedule-policies',
  whitelist: 'com.docker.swarm.whitelists',
} as const;
export type RequirementKind = keyof typeof LABELS;

export interface Requirements {
  /** What is left of the environment. */
  readonly env: string[];
  readonly labels: Record<string, string>;
}

export function moveRequirements(env: readonly string[], labels: Readonly<Record<string, string>>): Requirements {
  const found: Record<RequirementKind, string[]> = { affinity: [], constraint: [], reschedule: [], whitelist: [] };
  const rest: string[] = [];
  for (const entry of env) {
    const colon = entry.indexOf(':');
    const kind = entry.slice(0, Math.max(colon, 0));
    if (isKind(kind)) found[kind].push(entry.slice(colon + 1));
    else rest.push(entry);
  }
  const next = { ...labels };
  for (const kind of ['affinity', 'constraint', 'reschedule', 'whitelist'] as const) {
    if (found[kind].length > 0) next[LABELS[kind]] = JSON.stringify([...requirements(labels, kind), ...found[kind]]);
  }
  return { env: rest, labels: next };
}

/** The list in a label; malformed JSON is an empty list, as ever. */
export function requirements(labels: Readonly<Record<string, string>>, kind: RequirementKind): string[] {
  try {
    const list: unknown = JSON.parse(labels[LABELS[kind]] ?? '[]');
    return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
  } catch {
    return [];
  }
}

export function withRequirements(
  labels: Readonly<Record<string, string>>,
  kind: RequirementKind,
  list: readonly string[],
): Record<string, string> {
  const { [LABELS[kind]]: _dropped, ...rest } = labels;
  return list.length === 0 ? rest : { ...rest, [LABELS[kind]]: JSON.stringify(list) };
}

/** The error text for a policy that cannot be, or undefined. */
export function reschedulePolicyError(labels: Readonly<Record<string, string>>): string | undefined {
  const policies = requirements(labels, 'reschedule');
  if (policies.length > 1) return 'too many reschedule policies';
  const policy = policies[0];
  return policy === undefined || policy === 'off' || policy === 'on-node-failure' ? undefined : `invalid reschedule policy: ${policy}`;
}

export function reschedulesOnFailure(labels: Readonly<Record<string, string>>): boolean {
  return requirements(labels, 'reschedule')[0] === 'on-node-failure';
}

function isKind(word: string): word is RequirementKind {
  return Object.hasOwn(LABELS, word);
}
