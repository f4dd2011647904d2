/** Collections of the objects beside tenants, networks, groups and policies: profiles, and what speaks of the world outside. */
import {
  type AciGwInput,
  type AppProfileInput,
  aciGwInput,
  aciGwInspect,
  aciGwObject,
  appProfileInput,
  appProfileInspect,
  appProfileObject,
  type BgpInput,
  bgpInput,
  bgpInspect,
  bgpObject,
  type ExtContractsGroupInput,
  extContractsGroupInput,
  extContractsGroupInspect,
  extContractsGroupObject,
  type NetprofileInput,
  netprofileInput,
  netprofileInspect,
  netprofileObject,
  type ServiceInput,
  serviceInput,
  serviceInspect,
  serviceObject,
} from '@contiv/model';
import { aciGwOper, bgpOper, serviceOper } from '../core/oper.js';
import {
  deleteAciGw,
  deleteBgp,
  deleteExtContracts,
  deleteService,
  putAciGw,
  putBgp,
  putExtContracts,
  putService,
} from '../core/outside.js';
import { presentAciGw, presentAppProfile, presentBgp, presentExtContracts, presentNetprofile, presentService } from '../core/present.js';
import { deleteAppProfile, deleteNetprofile, putAppProfile, putNetprofile } from '../core/profiles.js';
import { keys } from '../core/records.js';
import { type Collection, joined } from './collections.js';
import { Listing } from './listing.js';

export const netprofiles = (): Collection<'netprofile', NetprofileInput> => ({
  plural: 'netprofiles',
  type: 'netprofile',
  kind: 'netprofile',
  keyFields: ['tenantName', 'profileName'],
  input: netprofileInput,
  object: netprofileObject,
  inspection: netprofileInspect,
  storeKey: keys.netprofile,
  put: putNetprofile,
  remove: deleteNetprofile,
  present: presentNetprofile,
  oper: undefined,
  links: ['Tenant'],
  listing: new Listing('netprofile', ['group'], presentNetprofile, (state, { place }) => joined(state.groupsOfNetprofile.of(place.first))),
});

export const appProfiles = (): Collection<'appProfile', AppProfileInput> => ({
  plural: 'appProfiles',
  type: 'appProfile',
  kind: 'appProfile',
  keyFields: ['tenantName', 'appProfileName'],
  input: appProfileInput,
  object: appProfileObject,
  inspection: appProfileInspect,
  storeKey: keys.appProfile,
  put: putAppProfile,
  remove: deleteAppProfile,
  present: presentAppProfile,
  oper: undefined,
  links: ['Tenant'],
  listing: new Listing('appProfile', [], presentAppProfile, () => ''),
});

export const extContractsGroups = (): Collection<'extContracts', ExtContractsGroupInput> => ({
  plural: 'extContractsGroups',
  type: 'extContractsGroup',
  kind: 'extContracts',
  keyFields: ['tenantName', 'contractsGroupName'],
  input: extContractsGroupInput,
  object: extContractsGroupObject,
  inspection: extContractsGroupInspect,
  storeKey: keys.extContracts,
  put: putExtContracts,
  remove: deleteExtContracts,
  present: presentExtContracts,
  oper: undefined,
  links: [],
  listing: new Listing('extContracts', ['group'], presentExtContracts, (state, { place }) =>
    joined(state.groupsOfExtContracts.of(place.first)),
  ),
});

export const services = (): Collection<'service', ServiceInput> => ({
  plural: 'serviceLBs',
  type: 'serviceLB',
  kind: 'service',
  keyFields: ['tenantName', 'serviceName'],
  input: serviceInput,
  object: serviceObject,
  inspection: serviceInspect,
  storeKey: keys.service,
  put: putService,
  remove: deleteService,
  present: presentService,
  oper: serviceOper,
  links: ['Network', 'Tenant'],
  listing: new Listing('service', [], presentService, () => ''),
});

export const bgps = (): Collection<'bgp', BgpInput> => ({
  plural: 'Bgps',
  type: 'Bgp',
  kind: 'bgp',
  keyFields: ['hostname'],
  input: bgpInput,
  object: bgpObject,
  inspection: bgpInspect,
  storeKey: keys.bgp,
  put: putBgp,
  remove: deleteBgp,
  present: presentBgp,
  oper: bgpOper,
  links: [],
  listing: new Listing('bgp', [], presentBgp, () => ''),
});

export const aciGws = (): Collection<'aciGw', AciGwInput> => ({
  plural: 'aciGws',
  type: 'aciGw',
  kind: 'aciGw',
  keyFields: ['name'],
  input: aciGwInput,
  object: aciGwObject,
  inspection: aciGwInspect,
  // There is one record, whatever the path says.
  storeKey: (key) => (key === 'aciGw' ? keys.aciGw : ''),
  put: putAciGw,
  remove: deleteAciGw,
  present: presentAciGw,
  oper: aciGwOper,
  links: [],
  listing: new Listing('aciGw', [], presentAciGw, () => ''),
});
