import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { netctl, ScriptedServer } from '../test-support.js';

let server: ScriptedServer;
beforeEach(async () => {
  server = await new ScriptedServer().start();
});
afterEach(() => server.stop());

const FILE = `apiVersion: contiv/v1
tenants:
  - tenantName: blue
    networks:
      - {networkName: net, subnet: 10.1.1.0/24}
    policies:
      - policyName: web
        rules:
          - ruleId: 1
            direction: in
            action: deny
            protocol: 6
`;
const call = (argv: readonly string[], more: object = {}) =>
  netctl(['--netmaster', server.url, ...argv], { files: { 'c.yaml': FILE, '-': FILE }, ...more });
const steps = [
  { action: 'delete', kind: 'group', key: 'blue:old', fields: [{ field: 'groupName', before: 'old' }] },
  {
    action: 'create',
    kind: 'network',
    key: 'blue:net',
    fields: [
      { field: 'networkName', after: 'net' },
      { field: 'subnet', after: '10.1.1.0/24' },
    ],
  },
  {
    action: 'update',
    kind: 'rule',
    key: 'blue:web:1',
    fields: [
      { field: 'port', before: 80 },
      { field: 'protocol', before: 'tcp', after: 'udp' },
    ],
  },
];
const answer = (list: readonly object[], applied = true) => server.on('POST /api/v1/intent', { body: { id: 'abc', applied, steps: list } });

describe('apply', () => {
  test('posts the checked document and says what was done', async () => {
    answer(steps.slice(1));
    expect(await call(['apply', '-f', 'c.yaml'])).toEqual({
      status: 0,
      out: '+ network blue:net  subnet=10.1.1.0/24\n~ rule blue:web:1   port: 80 -> (none) protocol: tcp -> udp\n1 created, 1 updated\n',
      err: '',
    });
    expect(server.changes).toHaveLength(1);
    expect(server.changes[0]?.body).toMatchObject({
      prune: false,
      source: 'c.yaml',
      intent: { tenants: [{ networks: [{ encap: 'vxlan' }], policies: [{ rules: [{ ruleId: '1', protocol: '6' }] }] }] },
    });
    answer([]);
    expect(await call(['apply', '-f', '-'])).toMatchObject({ status: 0, out: 'Nothing to do\n' });
    answer(steps, false);
    expect((await call(['apply', '-f', 'c.yaml', '--dry-run'])).out).toContain('- group blue:old\n');
    expect(server.changes.at(-1)?.body).toMatchObject({ dryRun: true });
  });

  test('asks before it deletes, and does what was agreed to and nothing else', async () => {
    answer(steps);
    const no = await call(['apply', '-f', 'c.yaml', '--prune'], { typed: ['n'] });
    expect([no.status, no.out, no.err]).toEqual([
      3,
      expect.stringContaining('1 to create, 1 to update, 1 to delete. Go on? [y/N] '),
      'ERRO[0000] not confirmed\nnothing was changed; --yes deletes without asking\n',
    ]);
    expect(server.changes.every((c) => JSON.stringify(c.body).includes('"dryRun":true'))).toBe(true);
    const yes = await call(['apply', '-f', 'c.yaml', '--prune'], { typed: ['y'] });
    expect([yes.status, server.changes.at(-1)?.body]).toMatchObject([0, { prune: true, expect: 'abc' }]);
    expect(await call(['apply', '-f', 'c.yaml', '--prune', '-y'])).toMatchObject({ status: 0 });
    expect((await call(['apply', '-f', '-', '--prune'])).err).toContain('1 object would be deleted, and nobody can be asked');
    // What somebody else makes meanwhile is not deleted unasked.
    answer(steps.slice(1));
    const nothing = await call(['apply', '-f', 'c.yaml', '--prune']);
    expect([nothing.status, server.changes.at(-1)?.body]).toMatchObject([0, { prune: true, expect: 'abc' }]);
  });

  test('names file and line of what is wrong, before anything is sent', async () => {
    const wrong = (text: string) => call(['apply', '-f', 'c.yaml'], { files: { 'c.yaml': text } });
    const said = async (text: string) => (await wrong(text)).err.replace('ERRO[0000] ', '').trim().split('\n');
    expect(await said(FILE.replace('action: deny', 'action: drop'))).toEqual(['c.yaml:11:13: action string invalid format; allow or deny']);
    expect(await said(FILE.replace('direction', 'dirction'))).toEqual([
      'c.yaml:9:13: direction string invalid format; in or out',
      'c.yaml:10:13: tenants.policies.rules has no member dirction',
    ]);
    expect(await said(FILE.replace('contiv/v1', 'v9'))).toEqual(['c.yaml:1:1: apiVersion must be contiv/v1']);
    expect(await said(`${FILE}  - tenantName: blue\n`)).toEqual(['c.yaml:13:5: tenantName blue is here twice']);
    expect(await said('a: [')).toEqual([expect.stringMatching(/^c.yaml:1:\d+: /)]);
    expect(await said(`${FILE}---\n${FILE}`)).toEqual(['c.yaml:13:1: a second document begins here; put everything into one']);
    for (const empty of ['', '# nothing', '---\n', '---\n---\n# nothing\n'])
      expect(await said(empty)).toEqual(['c.yaml: the file is empty']);
    expect(await said(Buffer.from(`\ufeff${FILE}`, 'utf16le').toString('utf8'))).toEqual(['c.yaml: this is no text; save it as UTF-8']);
    expect((await call(['apply', '-f', 'none.yaml'])).status).toBe(4);
    expect((await call(['apply'])).status).toBe(1);
    expect(server.changes).toEqual([]);
  });

  test('names each of several faults in a line of its own, and in a log joined to one', async () => {
    const rules = [1, 2, 3].map((id) => `          - {ruleId: ${id}, direction: in, action: drop}\n`).join('');
    const text = `${FILE.slice(0, FILE.indexOf('          - ruleId'))}${rules}`;
    const fault = (line: number) => `c.yaml:${line}:40: action string invalid format; allow or deny`;
    const files = { 'c.yaml': text };
    expect((await call(['apply', '-f', 'c.yaml'], { files })).err).toBe(`ERRO[0000] ${fault(9)}\n${fault(10)}\n${fault(11)}\n`);
    const logged = await call(['apply', '-f', 'c.yaml'], { files, terminal: false });
    expect(logged.err).toContain(` msg="${fault(9)}" hint="${fault(10)}; ${fault(11)}"\n`);
  });

  test('takes what editors and templates make: BOM, CRLF, an empty document, merged keys and many aliases', async () => {
    answer([]);
    const apply = async (text: string) => {
      const { status, err } = await call(['apply', '-f', 'c.yaml'], { files: { 'c.yaml': text } });
      return [status, err];
    };
    expect(await apply(`\ufeff${FILE.replaceAll('\n', '\r\n')}---\r\n`)).toEqual([0, '']);
    const policies = Array.from({ length: 1_500 }, (_, i) => `      - {<<: *p, policyName: p${i}}\n`).join('');
    expect(await apply(`${FILE.replace('- policyName: web', '- &p\n        policyName: web')}${policies}`)).toEqual([0, '']);
    expect(server.changes.at(-1)?.body).toMatchObject({
      intent: {
        tenants: [{ policies: expect.arrayContaining([expect.objectContaining({ policyName: 'p9', rules: [expect.anything()] })]) }],
      },
    });
  });

  test('gives the line of the object that netmaster refuses', async () => {
    server.on('POST /api/v1/intent', {
      status: 409,
      type: 'application/problem+json',
      body: { type: 'about:blank', title: 'x', status: 409, code: 'conflict', detail: 'rule blue:web:1: no\nway out' },
    });
    expect(await call(['apply', '-f', 'c.yaml'])).toMatchObject({
      status: 3,
      err: 'ERRO[0000] c.yaml:9:13: rule blue:web:1: no\nway out\n',
    });
  });
});

test('diff ends with 1 when there is something to do', async () => {
  answer(steps, false);
  const different = await call(['diff', '-f', 'c.yaml', '-o', 'json']);
  expect([different.status, JSON.parse(different.out)]).toEqual([1, steps]);
  answer([], false);
  expect(await call(['diff', '-f', 'c.yaml'])).toEqual({ status: 0, out: '', err: '' });
});

test('export prints words that other tools would take for truth values as text', async () => {
  server.get('/api/v1/intent', { apiVersion: 'contiv/v1', aciGw: { enforcePolicies: 'yes', includeCommonTenant: 'no' } });
  expect((await call(['export'])).out).toContain('  enforcePolicies: "yes"\n  includeCommonTenant: "no"\n');
});

test('export prints what apply takes', async () => {
  const intent = {
    apiVersion: 'contiv/v1',
    tenants: [{ tenantName: 'blue', networks: [{ networkName: 'net', encap: 'vlan', subnet: '10.1.1.0/24' }] }],
  };
  server.get('/api/v1/intent', intent);
  const { status, out } = await call(['export']);
  expect([status, parse(out)]).toEqual([0, intent]);
  expect(JSON.parse((await call(['export', '-o', 'json'])).out)).toEqual(intent);
  answer([]);
  expect(await call(['apply', '-f', '-'], { files: { '-': out } })).toMatchObject({ status: 0 });
});
