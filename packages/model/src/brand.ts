/** Nominal types over primitives: a `VlanId` is not a `number`, although it is one at run time. */
declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
