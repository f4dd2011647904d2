import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADDRESS, ENGINES, MASTER, WORKER } from '../rig/rig.js';
import { eventually } from '../rig/run.js';
import { rows } from '../rig/tables.js';
import { Compose } from './compose.js';
import { SwarmRig } from './swarm-rig.js';

/** The lab's own manager on :2375 over networks of ours: the tutorial's docker commands as printed, compose, and a drained node. */
const ENDPOINT = `tcp://${ADDRESS[MASTER]}:2375`;

// An engine with a cluster store makes one network for all; others have one each, of the same name.
describe.each(ENGINES.map((engine) => ({ engine, store: engine === 'system' ? 'etcd' : 'embedded' })))(
  'through :2375, engine $engine, store $store',
  ({ engine, store }) => {
    const rig = new SwarmRig('swarm-net');
    const cli = rig.through(ENDPOINT);
    /** A line of the tutorial, typed on the first host. */
    const typed = async (line: string): Promise<string> => {
      if (line.startsWith('netctl')) return rig.on(MASTER, 'sh', '-c', line);
      const result = await rig.inside(['sh', '-c', line], { env: { DOCKER_HOST: ENDPOINT, DOCKER_CLI_HINTS: 'false' } });
      expect(result.code, `${line}: ${result.text}`).toBe(0);
      return result.stdout.trimEnd();
    };
    const ID = /^[0-9a-f]{64}$/;
    /** The manager lists a network that one of the engines has; containers come to both. */
    const everywhere = async (network: string): Promise<void> => {
      for (const host of [MASTER, WORKER]) await eventually(`${network} on ${host}`, () => rig.docker(host, 'network', 'inspect', network));
    };
    /** Hosts hear of each other's containers and their names a moment after their start. */
    const shows = (line: string, said: string): Promise<void> => eventually(line, async () => expect(await typed(line)).toContain(said));
    const addressOf = (container: string, network: string) =>
      cli.ok('inspect', '-f', `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, container);

    beforeAll(async () => {
      await rig.up('--engine', engine, '--store', store);
      await cli.healthy(2);
    });
    afterAll(() => rig.down());

    test('chapter 1: info, networks, a vanilla container', async () => {
      const info = await typed('docker info');
      expect(info).toContain(` Nodes: 2\n  ${MASTER}: ${ADDRESS[MASTER]}:2385\n   └ ID: `);
      for (const line of [
        'Role: primary',
        'Strategy: spread',
        '   └ Status: Healthy',
        '   └ Reserved CPUs: 0 / 2',
        'Name: legacy-swarm-master',
      ])
        expect(info).toContain(line);
      const listed = rows(await typed('docker network ls')).map(([, name, driver, scope]) => `${name} ${driver} ${scope}`);
      for (const host of [MASTER, WORKER])
        for (const row of ['bridge bridge local', 'host host local', 'none null local']) expect(listed).toContain(`${host}/${row}`);
      expect(await typed('docker run -itd --name=vanilla-c alpine /bin/sh')).toMatch(ID);
      const node = await cli.nodeOf('vanilla-c');
      expect(rows(await typed('docker ps'))[1]?.at(-1)).toBe(`${node}/vanilla-c`);
      expect(await typed(`docker network inspect ${node}/bridge`)).toMatch(/"Name": "bridge"[\s\S]*"Name": "vanilla-c"/);
      expect(await typed("docker inspect --format '{{.NetworkSettings.IPAddress}}' vanilla-c")).toMatch(/^172\.17\./);
      expect(await typed('docker exec vanilla-c ifconfig eth0')).toMatch(/inet addr:172\.17\./);
      await typed('docker rm -f vanilla-c');
    });

    test('chapter 2: one network over both hosts, a container on each', async () => {
      await typed('netctl net create --subnet=10.1.2.0/24 contiv-net');
      await eventually('the network is listed once', async () => {
        const found = rows(await typed('docker network ls')).filter(([, name]) => name?.includes('contiv-net'));
        expect(found.map((row) => row.slice(1, 3))).toEqual([['contiv-net', 'netplugin']]);
      });
      await everywhere('contiv-net');
      expect(await typed('docker network inspect contiv-net')).toMatch(/"Driver": "netplugin"[\s\S]*"Subnet": "10\.1\.2\.0\/24"/);
      expect(await typed(`docker run -itd --name=contiv-c1 --net=contiv-net -e constraint:node==${MASTER} alpine /bin/sh`)).toMatch(ID);
      expect(await typed(`docker run -itd --name=contiv-c2 --net=contiv-net -e constraint:node==${WORKER} alpine /bin/sh`)).toMatch(ID);
      const shown = rows(await typed('docker ps')).map((row) => row.at(-1));
      expect(new Set(shown.slice(1))).toEqual(new Set([`${MASTER}/contiv-c1`, `${WORKER}/contiv-c2`]));
      expect(await typed('docker network inspect contiv-net')).toMatch(/"Containers": \{[\s\S]*contiv-c[12][\s\S]*contiv-c[12]/);
      await shows('docker exec contiv-c2 ping -c 3 contiv-c1', '3 packets received, 0% packet loss');
      await shows('docker exec contiv-c1 ping -c 3 contiv-c2', '3 packets received, 0% packet loss');
    });

    test('chapter 3: a tenant with the same names and addresses', async () => {
      await typed('netctl tenant create blue');
      await typed('netctl net create -t blue --subnet=10.1.2.0/24 contiv-net');
      await eventually('the network is listed once', async () => {
        const found = rows(await typed('docker network ls')).filter(([, name]) => name?.includes('blue'));
        expect(found.map((row) => row.slice(1, 3))).toEqual([['contiv-net/blue', 'netplugin']]);
      });
      await everywhere('contiv-net/blue');
      for (const i of [1, 2, 3])
        expect(await typed(`docker run -itd --name=contiv-blue-c${i} --net="contiv-net/blue" alpine /bin/sh`)).toMatch(ID);
      const nodes = await Promise.all([1, 2, 3].map((i) => cli.nodeOf(`contiv-blue-c${i}`)));
      expect(new Set(nodes)).toEqual(new Set([MASTER, WORKER]));
      const shown = await typed('docker network inspect contiv-net/blue');
      for (const i of [1, 2, 3]) expect(shown).toContain(`"Name": "contiv-blue-c${i}"`);
      for (const i of [1, 2]) await shows(`docker exec contiv-blue-c3 ping -c 3 contiv-blue-c${i}`, '3 packets received');
      expect(await addressOf('contiv-blue-c1', 'contiv-net/blue')).toMatch(/^10\.1\.2\.[123]$/);
      await typed('docker rm -f contiv-blue-c1 contiv-blue-c2 contiv-blue-c3');
    });

    test('a drained node: containers move with their addresses, and are reached there', async () => {
      const address = await addressOf('contiv-c2', 'contiv-net');
      await cli.sleeper('mover', '--stop-timeout=1', '--net=contiv-net', '-e', `constraint:node==~${WORKER}`);
      const kept = await addressOf('mover', 'contiv-net');
      expect(await cli.nodeOf('mover')).toBe(WORKER);
      const drained = await rig.swarm('node', 'drain', '-H', ENDPOINT, WORKER);
      expect(drained.text).toContain(`container mover moved from ${WORKER} to ${MASTER}`);
      expect(await cli.nodeOf('mover')).toBe(MASTER);
      expect(await addressOf('mover', 'contiv-net')).toBe(kept);
      await rig.swarm('node', 'active', '-H', ENDPOINT, WORKER);
      // It is bound to its node, stays there, and keeps what it had.
      expect(await cli.nodeOf('contiv-c2')).toBe(WORKER);
      await typed('docker start contiv-c2');
      expect(await addressOf('contiv-c2', 'contiv-net')).toBe(address);
      await shows('docker exec contiv-c2 ping -c 1 mover', '1 packets received');
      await typed('docker rm -f contiv-c1 contiv-c2 mover');
    });

    test('compose: up, ps, exec, logs, scale, down, with networks of ours over both hosts', async () => {
      const file = `
services:
  web:
    image: alpine
    command: sh -c 'echo ready; exec sleep 3600'
    stop_grace_period: 1s
    networks: [front]
    labels: { com.docker.swarm.constraints: '["node==${MASTER}"]' }
  db:
    image: alpine
    command: sleep 3600
    stop_grace_period: 1s
    environment: ['constraint:node==${WORKER}']
    networks: [front, back]
    ports: ['18080:80']
networks:
  front: { external: true, name: contiv-net }
  back: { driver: netplugin, ipam: { driver: netplugin, config: [{ subnet: 10.9.9.0/24 }] } }
`;
      const compose = await Compose.of(rig, ENDPOINT, file);
      const services = async () =>
        (await cli.ok('ps', '--filter', 'label=com.docker.compose.project=project', '--format', '{{.Names}}')).split('\n').sort();
      try {
        await compose.ok('up', '-d');
        expect(await services()).toEqual([`${MASTER}/project-web-1`, `${WORKER}/project-db-1`]);
        expect((await compose.ok('ps', '--services')).split('\n').sort()).toEqual(['db', 'web']);
        expect((await compose.ok('ps', '-q')).split('\n')).toHaveLength(2);
        await eventually('it says so', async () => expect(await compose.ok('logs', '--no-color', 'web')).toContain('ready'));
        await eventually('web reaches db', async () =>
          expect(await compose.ok('exec', '-T', 'web', 'ping', '-c', '1', '-W', '2', 'project-db-1')).toContain('1 packets received'),
        );
        const back = rows(await typed('docker network ls')).filter(([, name]) => name?.includes('project_back'));
        expect(back.map((row) => row.slice(1, 3))).toEqual([['project_back', 'netplugin']]);
        expect(await addressOf('project-db-1', 'project_back')).toMatch(/^10\.9\.9\./);
        // The new container is made while the old one still holds the port on the only node there is for it.
        await compose.ok('up', '-d', '--force-recreate', '--no-deps', 'db');
        expect(await services()).toEqual([`${MASTER}/project-web-1`, `${WORKER}/project-db-1`]);
        await compose.ok('up', '-d', '--scale', 'web=3', '--no-recreate');
        expect(await services()).toHaveLength(4);
        await compose.ok('up', '-d', '--scale', 'web=1', '--no-recreate');
        expect(await services()).toHaveLength(2);
        await compose.ok('down');
        expect(await cli.ok('ps', '-aq', '--filter', 'label=com.docker.compose.project=project')).toBe('');
        await eventually('its network goes', async () => expect(await typed('docker network ls')).not.toContain('project_back'));
        await eventually('netmaster forgets it', async () => expect(await typed('netctl net ls')).not.toContain('project_back'));
        expect(await typed('docker network ls')).toContain('contiv-net');
      } finally {
        await compose.try('down');
        await compose.dispose();
      }
    });
  },
);
