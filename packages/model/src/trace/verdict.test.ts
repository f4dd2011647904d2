import { expect, test } from 'vitest';
import type { RuleState } from '../wire/agent.js';
import { ruleText } from './verdict.js';

const text = (fields: Partial<RuleState>): string =>
  ruleText({ key: 'blue:db:3', tenant: 'blue', policy: 'db', way: 'in', priority: 10, deny: true, ...fields });

test.each<[Partial<RuleState>, string]>([
  [{}, 'deny everything'],
  [{ deny: false, protocol: 'tcp', port: 443, group: 'web' }, 'allow tcp/443 from group web'],
  [{ port: 80, endPort: 90 }, 'deny ports /80-90'],
  [
    { protocol: 'tcp', port: 80, ports: '80,443,8000-8099', group: 'app,ops', address: '10.1.1.0/24,fd00::7', own: '10.1.2.1,10.1.2.2' },
    'deny tcp/80,443,8000-8099 from group app or ops, 10.1.1.0/24 or fd00::7 at 10.1.2.1 or 10.1.2.2',
  ],
  [{ network: 'a,b', address: '10.1.1.0/24,10.1.2.0/24' }, 'deny everything from network a or b, 10.1.1.0/24 or 10.1.2.0/24'],
])('%j reads %s', (fields, said) => expect(text(fields)).toBe(`rule 3 of policy db (in, priority 10): ${said}`));
