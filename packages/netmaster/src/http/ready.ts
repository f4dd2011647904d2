import { storeDown } from '../effects/writer.js';
import type { Context } from './context.js';

/** Reads are answered from the mirror, also while the store is away; only before it was ever read there is nothing to answer. */
export function requireListed(context: Context): void {
  if (!context.mirror.listed) throw storeDown(context.mirror.lastError);
}
