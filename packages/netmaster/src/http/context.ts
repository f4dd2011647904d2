import type { Logger, Metrics } from '@contiv/observe';
import type { GlobalRecord } from '../core/records.js';
import type { Background } from '../effects/background.js';
import type { Hub } from '../effects/hub.js';
import type { Mirror } from '../effects/mirror.js';
import type { Presence } from '../effects/presence.js';
import type { Questions } from '../effects/questions.js';
import type { Writer } from '../effects/writer.js';

/** What the routes work with. */
export interface Context {
  readonly mirror: Mirror;
  readonly writer: Writer;
  readonly hub: Hub;
  readonly presence: Presence;
  readonly questions: Questions;
  readonly background: Background;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly boot: GlobalRecord;
  /** `docker`, `swarm-mode` or `kubernetes`, as `--mode` said. */
  readonly clusterMode: string;
  /** This master: `ip:port` and id. */
  readonly self: { readonly id: string; readonly address: string };
  readonly version: { readonly GitCommit: string; readonly Version: string; readonly BuildTime: string };
}
