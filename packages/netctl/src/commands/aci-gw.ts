import type { AciGw } from '@contiv/model';
import type { Run } from '../cli/command.js';

const lines = (gateway: AciGw): string =>
  [
    `Path bindings: ${gateway.pathBindings ?? ''}`,
    `Node bindings: ${gateway.nodeBindings ?? ''}`,
    `Physical domain: ${gateway.physicalDomain}`,
    `Enforce policies: ${gateway.enforcePolicies}`,
    `Include Common-Tenant: ${gateway.includeCommonTenant}`,
    '',
  ].join('\n');

export const info: Run = async (session) => {
  const list = await (await session.client()).aciGws.list();
  await session.show(list, () => list.map(lines).join(''));
};

export const inspect: Run = async (session) => session.document(await (await session.client()).aciGws.inspect('aciGw'));

export const set: Run = async (session) => {
  const { flags } = session;
  const { aciGws } = await session.client();
  await aciGws.put('aciGw', {
    name: 'aciGw',
    pathBindings: flags.text('path-bindings'),
    nodeBindings: flags.text('node-bindings'),
    physicalDomain: flags.text('phys-dom'),
    enforcePolicies: flags.text('enforce-policies'),
    includeCommonTenant: flags.text('include-common-tenant'),
  });
  if (session.structured) await session.document(await aciGws.get('aciGw'));
};
