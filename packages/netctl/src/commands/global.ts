import type { Global } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { CommandError } from '../session.js';
import { withoutZeros } from './shared.js';

export function globalLines(settings: Global): string {
  const { networkInfraType = '', fwdMode = '', arpMode = '', vlans = '', vxlans = '', pvtSubnet = '' } = settings;
  return [
    `Fabric mode: ${networkInfraType}`,
    `Forward mode: ${fwdMode}`,
    `ARP mode: ${arpMode}`,
    `Vlan Range: ${vlans}`,
    `Vxlan range: ${vxlans}`,
    `Private subnet: ${pvtSubnet}`,
    '',
  ].join('\n');
}

export const info: Run = async (session) => {
  const list = await (await session.client()).globals.list();
  await session.show(list, () => list.map(globalLines).join(''));
};

export const inspect: Run = async (session) => session.document(await (await session.client()).globals.inspect('global'));

/** Posts what was given and nothing else, so that no other setting is touched, also not one that someone changes at this moment. */
export const set: Run = async (session) => {
  const { flags } = session;
  const changes = withoutZeros({
    networkInfraType: flags.text('fabric-mode'),
    vlans: flags.text('vlan-range'),
    vxlans: flags.text('vxlan-range'),
    fwdMode: flags.text('fwd-mode'),
    arpMode: flags.text('arp-mode'),
    pvtSubnet: flags.text('private-subnet'),
  });
  if (Object.keys(changes).length === 0) throw new CommandError('No setting given', { help: true });
  const { globals } = await session.client();
  await globals.put('global', { name: 'global', ...changes });
  if (session.structured) await session.document(await globals.get('global'));
};
