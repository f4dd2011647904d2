/** netmaster's REST API (spec/contiv §1–2), typed by the shapes the API is made from. */
import {
  type AciGw,
  type AciGwInspect,
  type AppProfile,
  type AppProfileInspect,
  type aciGwInput,
  aciGwInspect,
  aciGwObject,
  type applyRequest,
  type appProfileInput,
  appProfileInspect,
  appProfileObject,
  type Bgp,
  type BgpInspect,
  type bgpInput,
  bgpInspect,
  bgpObject,
  type DockerPlace,
  type DoctorAnswer,
  dockerPlaces,
  doctorAnswer,
  type EndpointGroup,
  type EndpointGroupInspect,
  type EndpointInspect,
  type ExtContractsGroup,
  type ExtContractsGroupInspect,
  type endpointGroupInput,
  endpointGroupInspect,
  endpointGroupObject,
  endpointInspect,
  type extContractsGroupInput,
  extContractsGroupInspect,
  extContractsGroupObject,
  type FlowFilter,
  type FlowLine,
  flowLine,
  type Global,
  type GlobalInspect,
  type globalInput,
  globalInspect,
  globalObject,
  type HistoryEntry,
  type HostInfo,
  type HostRepair,
  historyEntry,
  hostInfo,
  hostRepair,
  hostRules,
  type IntentDocument,
  type IntentPlan,
  intentPlan,
  type MasterInfo,
  masterInfo,
  type Netprofile,
  type NetprofileInspect,
  type Network,
  type NetworkInspect,
  type netprofileInput,
  netprofileInspect,
  netprofileObject,
  type networkInput,
  networkInspect,
  networkObject,
  type Policy,
  type PolicyInspect,
  type policyInput,
  policyInspect,
  policyObject,
  type RelabelRequest,
  type Rule,
  type RuleInspect,
  type ruleInput,
  ruleInspect,
  ruleObject,
  type Service,
  type ServiceInspect,
  type StagedEffect,
  type StagedPolicy,
  type serviceInput,
  serviceInspect,
  serviceObject,
  stagedEffect,
  stagedPolicy,
  type stageRequest,
  type Tenant,
  type TenantInspect,
  type TraceAnswer,
  type tenantInput,
  tenantInspect,
  tenantObject,
  traceAnswer,
  type traceQuery,
  type VersionInfo,
  versionInfo,
} from '@contiv/model';
import { z } from 'zod';
import { readAnswer, readDone } from './answer.js';
import { ApiError } from './errors.js';
import { type HttpAnswer, type HttpRequest, Transport, type TransportOptions } from './transport.js';

/** Checked by whoever reads it: the answer is taken as netmaster made it. */
const intentDocument = z.custom<IntentDocument>((value) => typeof value === 'object' && value !== null && 'apiVersion' in value);

/** Tens of thousands of rules. */
const APPLY_TIMEOUT_MS = 180_000;

/** Longest path segment netmaster's router takes. */
const MAX_KEY = 1_024;

/** A key as path segment: `:` stays as it is (spec/contiv §1.1). */
function segment(key: string): string {
  const encoded = encodeURIComponent(key).replaceAll('%3A', ':');
  if (key === '' || encoded.length > MAX_KEY) throw new ApiError(400, 'invalid', key === '' ? 'Empty key' : 'the name is too long');
  // Some proxies resolve these before they look.
  return encoded.replaceAll(/^\.+$/g, (dots) => '%2E'.repeat(dots.length));
}

type Send = (request: HttpRequest) => Promise<HttpAnswer>;

/** One collection of objects: `/api/v1/<plural>/`. */
export class Collection<T, Post, Inspection> {
  readonly #send: Send;
  readonly #plural: string;
  readonly #object: z.ZodType<T>;
  readonly #inspection: z.ZodType<Inspection>;

  constructor(send: Send, plural: string, object: z.ZodType<T>, inspection: z.ZodType<Inspection>) {
    this.#send = send;
    this.#plural = plural;
    this.#object = object;
    this.#inspection = inspection;
  }

  async list(): Promise<T[]> {
    return this.#get(z.array(this.#object), `/api/v1/${this.#plural}/`);
  }

  async get(key: string): Promise<T> {
    return this.#get(this.#object, `/api/v1/${this.#plural}/${segment(key)}/`);
  }

  async inspect(key: string): Promise<Inspection> {
    return this.#get(this.#inspection, `/api/v1/inspect/${this.#plural}/${segment(key)}/`);
  }

  /** Creates it, or changes it where that is allowed. `body` holds the fields the key is made of; zero values may be left out. */
  async put(key: string, body: Post): Promise<void> {
    const path = `/api/v1/${this.#plural}/${segment(key)}/`;
    readDone(await this.#send({ method: 'POST', path, body: { key, ...body } }), path);
  }

  /** A netmaster that does not know the path counts as one that does not have the object (spec/contiv §3.1). */
  async remove(key: string): Promise<void> {
    const path = `/api/v1/${this.#plural}/${segment(key)}/`;
    const answer = await this.#send({ method: 'DELETE', path, body: key });
    if (answer.status !== 404 || answer.type === 'application/problem+json') readDone(answer, path);
  }

  async #get<S extends z.ZodType>(schema: S, path: string): Promise<z.output<S>> {
    return readAnswer(schema, await this.#send({ method: 'GET', path }), path);
  }
}

/** netmaster sends something every 5 s. */
const SILENCE_MS = 30_000;

/** What of `GET /api/v1/flows` is wanted. */
export interface FlowQuery extends FlowFilter {
  /** The newest so many of those that are over. */
  readonly limit?: number;
  /** Only what goes on, with counters of this moment. */
  readonly live?: boolean;
  /** Afterwards what happens from now on. */
  readonly follow?: boolean;
}

export class RestClient {
  readonly tenants: Collection<Tenant, z.input<typeof tenantInput>, TenantInspect>;
  readonly networks: Collection<Network, z.input<typeof networkInput>, NetworkInspect>;
  readonly endpointGroups: Collection<EndpointGroup, z.input<typeof endpointGroupInput>, EndpointGroupInspect>;
  readonly policies: Collection<Policy, z.input<typeof policyInput>, PolicyInspect>;
  readonly rules: Collection<Rule, z.input<typeof ruleInput>, RuleInspect>;
  readonly netprofiles: Collection<Netprofile, z.input<typeof netprofileInput>, NetprofileInspect>;
  readonly appProfiles: Collection<AppProfile, z.input<typeof appProfileInput>, AppProfileInspect>;
  readonly extContractsGroups: Collection<ExtContractsGroup, z.input<typeof extContractsGroupInput>, ExtContractsGroupInspect>;
  readonly services: Collection<Service, z.input<typeof serviceInput>, ServiceInspect>;
  readonly bgps: Collection<Bgp, z.input<typeof bgpInput>, BgpInspect>;
  readonly aciGws: Collection<AciGw, z.input<typeof aciGwInput>, AciGwInspect>;
  /** One object, key `global`. */
  readonly globals: Collection<Global, z.input<typeof globalInput>, GlobalInspect>;
  readonly #transport: Transport;

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
    const send: Send = (request) => this.#transport.send(request);
    this.tenants = new Collection(send, 'tenants', tenantObject, tenantInspect);
    this.networks = new Collection(send, 'networks', networkObject, networkInspect);
    this.endpointGroups = new Collection(send, 'endpointGroups', endpointGroupObject, endpointGroupInspect);
    this.policies = new Collection(send, 'policys', policyObject, policyInspect);
    this.rules = new Collection(send, 'rules', ruleObject, ruleInspect);
    this.netprofiles = new Collection(send, 'netprofiles', netprofileObject, netprofileInspect);
    this.appProfiles = new Collection(send, 'appProfiles', appProfileObject, appProfileInspect);
    this.extContractsGroups = new Collection(send, 'extContractsGroups', extContractsGroupObject, extContractsGroupInspect);
    this.services = new Collection(send, 'serviceLBs', serviceObject, serviceInspect);
    this.bgps = new Collection(send, 'Bgps', bgpObject, bgpInspect);
    this.aciGws = new Collection(send, 'aciGws', aciGwObject, aciGwInspect);
    this.globals = new Collection(send, 'globals', globalObject, globalInspect);
  }

  /** The endpoint whose id, container id or container name contains the text. */
  inspectEndpoint(text: string): Promise<EndpointInspect> {
    return this.#get(endpointInspect, `/api/v1/inspect/endpoints/${segment(text)}/`);
  }

  /** Puts a running endpoint into another group of its network, or with an empty one into none. */
  async relabelEndpoint(text: string, request: RelabelRequest): Promise<void> {
    const path = `/api/v1/endpoints/${segment(text)}/group/`;
    readDone(await this.#transport.send({ method: 'POST', path, body: request }), path);
  }

  hosts(): Promise<HostInfo[]> {
    return this.#get(z.array(hostInfo), '/api/v1/hosts/');
  }

  host(name: string): Promise<HostInfo> {
    return this.#get(hostInfo, `/api/v1/hosts/${segment(name)}/`);
  }

  /** Where the network's Docker network is, or is not any more; the agents wait for it up to `waitMs`. */
  dockerPlaces(key: string, wanted: boolean, waitMs: number): Promise<DockerPlace[]> {
    return this.#get(dockerPlaces, `/api/v1/networks/${segment(key)}/docker?wanted=${wanted}&waitMs=${waitMs}`);
  }

  /** What the data path added to the packet filter of a host, line by line. */
  async hostRules(name: string): Promise<readonly string[]> {
    return (await this.#get(hostRules, `/api/v1/hosts/${segment(name)}/rules/`)).rules;
  }

  /** Compares a host's tables with what it should have, now, and mends them. */
  async repairHost(name: string): Promise<HostRepair> {
    const path = `/api/v1/hosts/${segment(name)}/repair/`;
    return readAnswer(hostRepair, await this.#transport.send({ method: 'POST', path }), path);
  }

  /** What is wrong in the cluster. */
  doctor(): Promise<DoctorAnswer> {
    return this.#get(doctorAnswer, '/api/v1/doctor/');
  }

  /** The way a connection takes, or where it dies. */
  trace(query: z.input<typeof traceQuery>): Promise<TraceAnswer> {
    return this.#get(traceAnswer, `/api/v1/trace/?${new URLSearchParams(query).toString()}`);
  }

  /** Forgets a host that is gone, with everything it held. Refused while its agent is connected. */
  async removeHost(name: string): Promise<void> {
    const path = `/agent/v1/hosts/${segment(name)}`;
    readDone(await this.#transport.send({ method: 'DELETE', path }), path);
  }

  /** Everything that was asked of the cluster, as one document. */
  intent(): Promise<IntentDocument> {
    return this.#get(intentDocument, '/api/v1/intent');
  }

  /** Brings a document about, whole or not at all, or says what that would change. */
  async apply(request: z.input<typeof applyRequest>): Promise<IntentPlan> {
    const path = '/api/v1/intent';
    return readAnswer(intentPlan, await this.#transport.send({ method: 'POST', path, body: request, timeoutMs: APPLY_TIMEOUT_MS }), path);
  }

  /** Who changed what, oldest first; of the objects that are named, or of all. */
  history(since: Date | undefined, objects: readonly string[]): Promise<HistoryEntry[]> {
    const query = new URLSearchParams();
    if (since) query.set('since', since.toISOString());
    if (objects.length > 0) query.set('objects', objects.join(','));
    return this.#get(z.array(historyEntry), `/api/v1/history${query.size === 0 ? '' : `?${query.toString()}`}`);
  }

  /** Connections of all hosts, as netmaster tells them; with `follow` without an end. */
  async *flows(query: FlowQuery): AsyncGenerator<FlowLine, void, undefined> {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== false) params.set(name, String(value));
    const search = params.toString();
    for await (const text of this.#transport.lines(`/api/v1/flows${search === '' ? '' : `?${search}`}`, SILENCE_MS)) {
      const line = flowLine.safeParse(JSON.parse(text));
      // A newer netmaster may say more.
      if (line.success) yield line.data;
    }
  }

  /** A policy's staged version: opened, or given all the rules it shall have. */
  async stage(key: string, rules?: z.input<typeof stageRequest>['rules']): Promise<StagedPolicy> {
    return this.#post(stagedPolicy, `/api/v1/staged/${segment(key)}`, rules === undefined ? {} : { rules });
  }

  async stageRule(key: string, rule: z.input<typeof ruleInput>): Promise<StagedPolicy> {
    return this.#post(stagedPolicy, `/api/v1/staged/${segment(key)}/rules/${segment(rule.ruleId ?? '')}`, rule);
  }

  async unstageRule(key: string, ruleId: string): Promise<void> {
    const path = `/api/v1/staged/${segment(key)}/rules/${segment(ruleId)}`;
    readDone(await this.#transport.send({ method: 'DELETE', path }), path);
  }

  /** What the staged version would change, and whose connections. */
  stagedEffect(key: string): Promise<StagedEffect> {
    return this.#get(stagedEffect, `/api/v1/staged/${segment(key)}/effect`);
  }

  commitStaged(key: string): Promise<StagedPolicy> {
    return this.#post(stagedPolicy, `/api/v1/staged/${segment(key)}/commit`, {});
  }

  async discardStaged(key: string): Promise<void> {
    const path = `/api/v1/staged/${segment(key)}`;
    readDone(await this.#transport.send({ method: 'DELETE', path }), path);
  }

  async #post<S extends z.ZodType>(schema: S, path: string, body: unknown): Promise<z.output<S>> {
    return readAnswer(schema, await this.#transport.send({ method: 'POST', path, body, timeoutMs: APPLY_TIMEOUT_MS }), path);
  }

  version(): Promise<VersionInfo> {
    return this.#get(versionInfo, '/version');
  }

  info(): Promise<MasterInfo> {
    return this.#get(masterInfo, '/info');
  }

  /** Lets go of the kept connections. */
  close(): void {
    this.#transport.close();
  }

  async #get<S extends z.ZodType>(schema: S, path: string): Promise<z.output<S>> {
    return readAnswer(schema, await this.#transport.send({ method: 'GET', path }), path);
  }
}
