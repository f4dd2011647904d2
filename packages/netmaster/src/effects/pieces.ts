import type { Holdings } from '../core/hosts.js';

/** Endpoints per transaction: each takes up to three operations. */
const ENDPOINTS = 30;
const ADDRESSES = 30;

/** Holdings in pieces that fit into one transaction each. */
export function* inPieces(holdings: Holdings): Generator<Holdings> {
  for (let i = 0; i < holdings.endpoints.length; i += ENDPOINTS)
    yield { endpoints: holdings.endpoints.slice(i, i + ENDPOINTS), addresses: [] };
  for (let i = 0; i < holdings.addresses.length; i += ADDRESSES)
    yield { endpoints: [], addresses: holdings.addresses.slice(i, i + ADDRESSES) };
}
