/** Where etcd is and how to be let in. */
export interface EtcdOptions {
  /** `host:port`, tried in turn. */
  readonly endpoints: readonly string[];
  /** All our keys are under it: begins with `/`, does not end with it. */
  readonly prefix: string;
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
  readonly auth?: { readonly user: string; readonly password: string };
  /** Milliseconds after which a call fails with `StoreUnavailableError`, retries included; at most 5,000. */
  readonly requestTimeoutMs?: number;
}

export const REQUEST_TIMEOUT_MS = 4000;
/** An attempt that is not answered by then is tried at the next endpoint, when there is one. */
export const ATTEMPT_TIMEOUT_MS = 1500;
