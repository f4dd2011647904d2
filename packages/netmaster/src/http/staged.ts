/** Staged policies: opened, edited, looked at, committed or discarded. */
import { Refusal, ruleInput, stagedEffect, stagedPolicy, stageRequest, validate } from '@contiv/model';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { Effect } from '../core/staged/effect.js';
import {
  commitStage,
  discardStage,
  findStaged,
  openStage,
  presentStage,
  stageRule,
  stageRules,
  unstageRule,
} from '../core/staged/staged.js';
import { judgeAll, seenConnections } from '../effects/seen.js';
import { causeOf } from './caller.js';
import type { Context } from './context.js';
import { json } from './objects.js';
import { parse } from './plugin.js';
import { requireListed } from './ready.js';

const BODY_LIMIT = 32 * 1024 * 1024;
/** Connections shown at most; all are counted. */
const MOST_SHOWN = 1_000;
const PATIENCE_MS = 60_000;
const tags = ['staged'];
const keyParam = z.object({ key: z.string().max(256) });
const ruleParam = z.object({ key: z.string().max(256), rule: z.string().max(128) });
const done = z.object({});

export function stagedRoutes(app: FastifyInstance, context: Context): void {
  const { writer, mirror } = context;
  const path = '/api/v1/staged/:key';
  const find = (key: string) => {
    requireListed(context);
    return findStaged(mirror.state, key);
  };
  const show = (reply: FastifyReply, key: string) => json(reply, JSON.stringify(presentStage(mirror.state, find(key))));

  app.get(path, { schema: { tags, params: keyParam, response: { 200: stagedPolicy } } }, (request, reply) =>
    show(reply, parse(keyParam, request.params).key),
  );
  app.post(
    path,
    { bodyLimit: BODY_LIMIT, schema: { tags, params: keyParam, body: stageRequest, response: { 200: stagedPolicy } } },
    async (request, reply) => {
      const { key } = parse(keyParam, request.params);
      const { rules } = parse(stageRequest, request.body ?? {});
      const [tenantName = '', policyName = ''] = key.split(':');
      const now = new Date();
      const inputs = rules?.map((rule) => ({ ...rule, tenantName, policyName }));
      await writer.submit((state) => (inputs ? stageRules(state, key, inputs, now) : openStage(state, key, now)), {
        cause: causeOf(request),
        deadlineMs: PATIENCE_MS,
      });
      return show(reply, key);
    },
  );
  app.delete(path, { schema: { tags, params: keyParam, response: { 200: done } } }, async (request, reply) => {
    const { key } = parse(keyParam, request.params);
    await writer.submit((state) => discardStage(state, key), { cause: causeOf(request), deadlineMs: PATIENCE_MS });
    return json(reply, '{}');
  });
  app.post(`${path}/commit`, { schema: { tags, params: keyParam, response: { 200: stagedPolicy } } }, async (request, reply) => {
    const { key } = parse(keyParam, request.params);
    const committed = await writer.submit((state) => commitStage(state, key), { cause: causeOf(request), deadlineMs: PATIENCE_MS });
    return json(reply, JSON.stringify(committed));
  });
  app.post(
    `${path}/rules/:rule`,
    { schema: { tags, params: ruleParam, body: ruleInput, response: { 200: stagedPolicy } } },
    async (request, reply) => {
      const { key, rule } = parse(ruleParam, request.params);
      const input = validate(ruleInput, request.body);
      if (`${input.tenantName}:${input.policyName}` !== key || input.ruleId !== rule) throw new Refusal('invalid', 'Invalid Key');
      await writer.submit((state) => stageRule(state, input), { cause: causeOf(request) });
      return show(reply, key);
    },
  );
  app.delete(`${path}/rules/:rule`, { schema: { tags, params: ruleParam, response: { 200: stagedPolicy } } }, async (request, reply) => {
    const { key, rule } = parse(ruleParam, request.params);
    await writer.submit((state) => unstageRule(state, key, rule), { cause: causeOf(request) });
    return show(reply, key);
  });
  app.get(`${path}/effect`, { schema: { tags, params: keyParam, response: { 200: stagedEffect } } }, async (request, reply) => {
    const { key } = parse(keyParam, request.params);
    find(key);
    const { connections, beyond, missing } = await seenConnections(context, key.slice(0, key.indexOf(':')));
    const effect = new Effect(mirror.state, key);
    const unexamined = beyond + (await judgeAll(effect, connections));
    const { connections: all, examined } = effect;
    const left = all.length - MOST_SHOWN;
    const some = { ...(left > 0 ? { leftOut: left } : {}), ...(unexamined > 0 ? { unexamined } : {}) };
    const answer = { connections: all.slice(0, MOST_SHOWN), ...some, examined, missing };
    return json(reply, JSON.stringify({ ...presentStage(mirror.state, find(key)), ...answer }));
  });
}
