export { createMaster, type Master, type MasterOptions } from './master.js';
