/** What this agent answers when netmaster asks (packages/model/src/wire/question.ts). */
import type { Answerers } from '@contiv/client';
import type { DockerPresence, QuestionBody } from '@contiv/model';
import type { AgentParts } from './agent.js';
import type { Flows } from './flows/flows.js';
import { checkup } from './questions/checkup.js';
import { tryPath } from './questions/trial.js';

/** Where the answers come from. */
export interface Known {
  readonly rules: () => Promise<readonly string[]>;
  readonly flows: () => Pick<Flows, 'answer'>;
  /** Asked for when a question comes: the agent is complete by then. */
  readonly parts: () => AgentParts;
  readonly docker: (question: QuestionBody<'docker'>) => Promise<DockerPresence>;
}

export function answerers({ rules, flows, parts, docker }: Known): Answerers {
  return {
    async *rules() {
      yield { rules: [...(await rules())] };
    },
    async *trial(question) {
      const { datapath, dataplane, cluster, context } = parts();
      yield await tryPath({ datapath, dataplane, cluster, state: context.state }, question);
    },
    async *checkup(question, signal) {
      yield await checkup(parts(), question, signal);
    },
    async *repair() {
      const { repaired, failed } = await parts().dataplane.repair();
      yield { repaired: [...repaired], failed: failed.slice(0, 1_000) };
    },
    async *docker(question) {
      yield await docker(question);
    },
    flows: (question, signal) => flows().answer(question, signal),
  };
}
