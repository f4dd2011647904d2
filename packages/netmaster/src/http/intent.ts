/** The whole intent as one document: read, compared, and brought about. */
import { applyRequest, INTENT_VERSION, intentPlan, Refusal } from '@contiv/model';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { exportIntent } from '../core/intent/asked.js';
import { planIntent } from '../core/intent/plan.js';
import { answer } from '../core/plan.js';
import { causeOf } from './caller.js';
import type { Context } from './context.js';
import { json } from './objects.js';
import { requireListed } from './ready.js';

/** 100,000 rules. */
const BODY_LIMIT = 32 * 1024 * 1024;
/** Planning ten thousand rules anew because somebody was faster takes its time. */
const PATIENCE_MS = 60_000;
const tags = ['intent'];
const path = '/api/v1/intent';

export function intentRoutes(app: FastifyInstance, context: Context): void {
  app.get(path, { schema: { tags, response: { 200: z.looseObject({ apiVersion: z.string() }) } } }, (_request, reply) => {
    requireListed(context);
    return json(reply, JSON.stringify(exportIntent(context.mirror.state, INTENT_VERSION)));
  });
  app.post(path, { bodyLimit: BODY_LIMIT, schema: { tags, body: applyRequest, response: { 200: intentPlan } } }, async (request, reply) => {
    const parsed = applyRequest.safeParse(request.body);
    if (!parsed.success) throw malformed(parsed.error);
    const { intent, prune, dryRun, expect, source } = parsed.data;
    const result = await context.writer.submit(
      (state) => {
        const plan = planIntent(state, intent, { prune, boot: context.boot });
        const { id, steps } = plan.reply;
        if (dryRun || steps.length === 0) return answer(plan.reply);
        if (expect !== undefined && expect !== id)
          throw new Refusal(
            'conflict',
            'somebody has changed something meanwhile, so this plan is not the one you saw',
            'look at it again',
          );
        return { ...plan, reply: { ...plan.reply, applied: true } };
      },
      { cause: causeOf(request, source), deadlineMs: PATIENCE_MS },
    );
    return json(reply, JSON.stringify(result));
  });
}

function malformed(error: z.ZodError): Refusal {
  const [issue] = error.issues;
  const [message = 'malformed request', hint] = (issue?.message ?? 'malformed request').split('\n');
  return new Refusal('invalid', `${issue?.path.join('.') ?? ''}: ${message}`, hint);
}
