import * as containers from './containers.js';
import type { Context, Handler, UpgradeContext, UpgradeHandler } from './context.js';
import * as images from './images.js';
import * as networks from './networks.js';
import { nodes, setNode } from './nodes.js';
import { hijack } from './proxy.js';
import * as system from './system.js';
import * as volumes from './volumes.js';

/** The whole API, in the order it is tried (spec/swarm.md 2.3). */
export interface Route {
  readonly methods: readonly string[];
  readonly pattern: RegExp;
  readonly handler: Handler;
  /** For requests that ask for an upgrade. */
  readonly upgrade?: UpgradeHandler;
}

/** `{}` is one name and may hold slashes. */
function route(methods: string, path: string, handler: Handler, upgrade?: UpgradeHandler): Route {
  const source = path.replaceAll(/[.]/g, '\\.').replaceAll('{}', '(.+)');
  return { methods: methods.split('|'), pattern: new RegExp(`^${source}$`), handler, ...(upgrade === undefined ? {} : { upgrade }) };
}

const toBuildNode: UpgradeHandler = (context: UpgradeContext) => hijack(context, images.buildNode(context));
const needsUpgrade = system.notInCluster('this endpoint only exists as an upgraded connection; use a current client');
const plain = (rest: string) => containers.toOwner(rest);
const refreshing = (rest: string) => containers.toOwner(rest, true);

export const ROUTES: readonly Route[] = [
  route('GET|HEAD', '/_ping', system.ping),
  route('GET', '/info', system.info),
  route('GET', '/version', system.version),
  route('GET', '/events', system.events),
  route('GET', '/system/df', system.systemDf),
  route('POST', '/auth', system.anyEngine),
  route('GET', '/distribution/{}/json', system.anyEngine),
  route('GET', '/nodes/health', nodes),
  route('POST', '/nodes/{}/(drain|active)', setNode),

  route('GET', '/images/json', images.list),
  route('GET', '/images/viz', system.notInCluster('Not supported in clustering mode.')),
  route('GET', '/images/search', system.anyEngine),
  route('GET', '/images/get', images.getMany),
  route('POST', '/images/create', images.create),
  route('POST', '/images/load', images.load),
  route('POST', '/images/prune', system.prune),
  route('GET', '/images/{}/get', images.toHolder('/get')),
  route('GET', '/images/{}/history', images.toHolder('/history')),
  route('GET', '/images/{}/json', images.toHolder('/json')),
  route('POST', '/images/{}/push', images.push),
  route('POST', '/images/{}/tag', images.tag),
  route('DELETE', '/images/{}', images.remove),
  route('POST', '/build', images.build),
  route('POST', '/build/cancel', images.buildCancel),
  route('POST', '/build/prune', system.prune),
  route('POST', '/session', needsUpgrade, toBuildNode),
  route('POST', '/grpc', needsUpgrade, toBuildNode),
  route('POST', '/commit', containers.commit),

  route('GET', '/containers/(?:json|ps)', containers.list),
  route('POST', '/containers/create', containers.create),
  route('POST', '/containers/prune', system.prune),
  route('HEAD|GET|PUT', '/containers/{}/archive', plain('/archive')),
  route('GET', '/containers/{}/json', containers.inspect),
  ...['export', 'changes', 'top', 'logs', 'stats'].map((verb) => route('GET', `/containers/{}/${verb}`, plain(`/${verb}`))),
  route('GET', '/containers/{}/attach/ws', needsUpgrade, containers.attach),
  route('POST', '/containers/{}/attach', plain('/attach'), containers.attach),
  ...['kill', 'pause', 'unpause', 'restart', 'stop', 'start', 'update', 'wait'].map((verb) =>
    route('POST', `/containers/{}/${verb}`, refreshing(`/${verb}`)),
  ),
  ...['resize', 'copy'].map((verb) => route('POST', `/containers/{}/${verb}`, plain(`/${verb}`))),
  route('POST', '/containers/{}/rename', containers.rename),
  route('POST', '/containers/{}/exec', containers.execCreate),
  route(
    'GET|POST|DELETE',
    '/containers/{}/checkpoints(?:/.*)?',
    system.notInCluster('Checkpoints are not supported: they belong to one engine and cannot be scheduled.'),
  ),
  route('DELETE', '/containers/{}', containers.remove),
  route('GET', '/exec/{}/json', containers.toExec('/json')),
  route('POST', '/exec/{}/start', containers.toExec('/start'), containers.execStart),
  route('POST', '/exec/{}/resize', containers.toExec('/resize')),

  route('GET', '/networks', networks.list),
  route('POST', '/networks/create', networks.create),
  route('POST', '/networks/prune', networks.prune),
  route('POST', '/networks/{}/connect', networks.change('connect')),
  route('POST', '/networks/{}/disconnect', networks.change('disconnect')),
  route('GET', '/networks/{}', networks.inspect),
  route('DELETE', '/networks/{}', networks.remove),

  route('GET', '/volumes', volumes.list),
  route('POST', '/volumes/create', volumes.create),
  route('POST', '/volumes/prune', system.prune),
  route('GET', '/volumes/{}', volumes.inspect),
  route('PUT', '/volumes/{}', volumes.update),
  route('DELETE', '/volumes/{}', volumes.remove),

  route('GET', '/plugins', (context: Context) => {
    context.response.writeHead(200, { 'Content-Type': 'application/json' });
    context.response.end('[]\n');
  }),
  // `docker inspect` asks here last: 404 lets it say that there is no such object.
  route('GET', '/plugins/{}/json', system.noSuchPlugin),
  route('GET|POST|DELETE', '/plugins/{}', system.notInCluster('Plugins belong to single engines: address the engine itself.')),
  route('GET|POST|DELETE|PUT', '/(?:swarm|nodes|services|tasks|secrets|configs)(?:/.*)?', system.notSwarmMode),
];
