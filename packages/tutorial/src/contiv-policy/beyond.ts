import { enter, exit, ping3 } from '../parts.js';
import type { Chapter } from '../step.js';
import { B, dropped, reached } from './parts.js';

export const beyond: Chapter = {
  title: 'Chapter 3: What a tenant decides',
  about:
    'An admin policy applies to all containers of its tenant and outranks what groups say. The posture says what becomes of connections that no rule matches: ' +
    '`allow` as ever, or `deny`, with which both ends have to allow a connection.',
  steps: [
    { command: 'netctl policy create -t TestTenant --admin tenantRules', shows: ['Creating policy TestTenant:tenantRules'] },
    { command: 'netctl policy rule-add -t TestTenant -d in --protocol icmp --action allow tenantRules 1' },
    enter('AContainer'),
    ping3(B, B),
    exit,
    { command: 'netctl tenant create --posture=deny TestTenant', shows: ['Creating tenant: TestTenant'] },
    enter('AContainer'),
    dropped(8001),
    exit,
    { command: 'netctl policy rule-add -t TestTenant -d out --protocol tcp --port 8001 --action allow tenantRules 2' },
    enter('AContainer'),
    reached(8001),
    dropped(8000),
    exit,
    { command: 'netctl tenant create --posture=allow TestTenant', shows: ['Creating tenant: TestTenant'] },
    { command: 'netctl policy rule-rm -t TestTenant tenantRules 1' },
    { command: 'netctl policy rule-rm -t TestTenant tenantRules 2' },
  ],
};
