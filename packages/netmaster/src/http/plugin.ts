/** The agents' calls (spec/contiv §2.1). */
import {
  allocAddressRequest,
  allocAddressResponse,
  createEndpointRequest,
  deleteEndpointRequest,
  type EndpointState,
  Refusal,
  reconcileHostRequest,
  reconcileHostResponse,
  releaseAddressRequest,
  updateEndpointRequest,
} from '@contiv/model';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { allocAddress, releaseAddress } from '../core/addresses.js';
import { createEndpoint, deleteEndpoint, updateEndpoint } from '../core/endpoints.js';
import { leftBehind, releaseHoldings } from '../core/hosts.js';
import type { Plan } from '../core/plan.js';
import type { State } from '../core/state.js';
import { inPieces } from '../effects/pieces.js';
import type { Context } from './context.js';
import { json } from './objects.js';
import { requireListed } from './ready.js';

const BODY_LIMIT = 1024 * 1024;
/** 100,000 endpoints and as many reservations. */
const RECONCILE_LIMIT = 48 * 1024 * 1024;
const tags = ['plugin'];

export function pluginRoutes(app: FastifyInstance, context: Context): void {
  const { writer, mirror } = context;
  const call = <S extends z.ZodType, T>(
    name: string,
    schema: S,
    response: z.ZodType,
    plan: (state: State, request: z.output<S>) => Plan<T>,
    answer: (reply: T, state: State) => unknown,
  ): void => {
    app.post(
      `/plugin/${name}`,
      { bodyLimit: BODY_LIMIT, schema: { tags, body: schema, response: { 200: response } } },
      async (request, reply) => {
        const input = parse(schema, request.body);
        const result = await writer.submit((state) => plan(state, input));
        return json(reply, JSON.stringify(answer(result, mirror.state)));
      },
    );
  };
  const endpointAnswer = z.object({ EndpointConfig: z.looseObject({}) });
  const endpointConfig = (endpoint: EndpointState | undefined, state: State) => ({
    EndpointConfig: endpoint ? record(endpoint, state) : {},
  });
  call('allocAddress', allocAddressRequest, allocAddressResponse, allocAddress, (r) => r);
  call('releaseAddress', releaseAddressRequest, z.literal('success'), releaseAddress, (r) => r);
  call('createEndpoint', createEndpointRequest, endpointAnswer, createEndpoint, endpointConfig);
  call('deleteEndpoint', deleteEndpointRequest, endpointAnswer, deleteEndpoint, endpointConfig);
  call('updateEndpoint', updateEndpointRequest, z.object({ IPAddress: z.string() }), updateEndpoint, (r) => r);

  app.post(
    '/plugin/reconcileHost',
    { bodyLimit: RECONCILE_LIMIT, schema: { tags, body: reconcileHostRequest, response: { 200: reconcileHostResponse } } },
    async (request, reply) => {
      requireListed(context);
      const { Host, EndpointIDs, Reservations, Before } = parse(reconcileHostRequest, request.body);
      await mirror.waitFor(Before, 2_000);
      const keep = { endpointIds: new Set(EndpointIDs), reservations: new Set(Reservations) };
      const holdings = leftBehind(mirror.state, Host, keep, Before);
      const released = { Endpoints: [] as string[], Addresses: [] as string[] };
      for (const piece of inPieces(holdings)) {
        const done = await writer.submit((state) => releaseHoldings(state, Host, piece, Before));
        released.Endpoints.push(...done.endpoints);
        released.Addresses.push(...done.addresses);
      }
      return json(reply, JSON.stringify(released));
    },
  );
}

/** Parses a call's body; the first fault is the refusal. */
export function parse<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  throw new Refusal('invalid', `${first?.path.join('.') || 'body'}: ${first?.message ?? 'malformed'}`);
}

/** The record layout of spec/contiv, appendix A. */
function record(e: EndpointState, state: State): Record<string, unknown> {
  const group = e.group === undefined ? undefined : state.group(`${e.tenant}:${e.group}`);
  return {
    id: e.key,
    netID: `${e.network}.${e.tenant}`,
    endpointID: e.endpointId,
    serviceName: e.group ?? '',
    endpointGroupId: group?.record.id ?? 0,
    endpointGroupKey: e.group === undefined ? '' : `${e.group}:${e.tenant}`,
    ipAddress: e.ip,
    ipv6Address: e.ip6 ?? '',
    macAddress: e.mac,
    homingHost: e.host,
    intfName: '',
    vtepIP: state.host(e.host)?.record.vtepIp ?? '',
    labels: e.labels ?? {},
    containerId: e.containerId ?? '',
    epCommonName: e.containerName ?? '',
  };
}
