import { z } from 'zod';

/** Reference from one object to another. An unset one is `{}` (spec/contiv §1.1). */
export const link = z.object({ type: z.string().optional(), key: z.string().optional() });
export type Link = z.infer<typeof link>;

/** References by the key of the object they lead to. */
export const linkSet = z.record(z.string(), link);
export type LinkSet = z.infer<typeof linkSet>;
