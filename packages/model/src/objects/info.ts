import { z } from 'zod';
import { hostState } from '../wire/agent.js';
import { dockerPresence } from '../wire/question.js';

/** `GET /version`. */
export const versionInfo = z.object({ GitCommit: z.string(), Version: z.string(), BuildTime: z.string() });
export type VersionInfo = z.infer<typeof versionInfo>;

/** `GET /info` (spec/contiv §2.2). The leader is the master that does the background work; any master takes writes. */
export const masterInfo = z.object({
  'local-ip': z.string(),
  'leader-ip': z.string(),
  'current-state': z.enum(['leader', 'follower']),
  'netplugin-nodes': z.array(z.string()),
  'netmaster-nodes': z.array(z.string()),
});
export type MasterInfo = z.infer<typeof masterInfo>;

/** One host of `GET /api/v1/hosts/`. */
export const hostInfo = hostState.extend({
  key: z.string(),
  /** When the host's agent was last known to hold a stream, ISO 8601; absent while it does. */
  silentSince: z.string().optional(),
  numEndpoints: z.number().optional(),
});
export type HostInfo = z.infer<typeof hostInfo>;

/** `GET /api/v1/hosts/NAME/rules/`, and the agent's own `GET /rules`: what we added to the host's packet filter, as its tools print it. */
export const hostRules = z.object({ rules: z.array(z.string().max(65_536)).max(100_000) });
export type HostRules = z.infer<typeof hostRules>;

/** `GET /api/v1/networks/KEY/docker?wanted=true|false&waitMs=MS`: is the network's Docker network on the engine of each connected host? */
export const dockerPlaces = z.array(dockerPresence.extend({ host: z.string() }));
export type DockerPlace = z.infer<typeof dockerPlaces>[number];

/** RFC 9457 body of a refusal, for clients that accept `application/problem+json`. */
export const problemBody = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string(),
});
export type ProblemBody = z.infer<typeof problemBody>;
