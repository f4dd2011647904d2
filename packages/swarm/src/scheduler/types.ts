/** What the scheduler knows of a container, existing or being created. `id` is empty while it is being created. */
export interface ContainerView {
  readonly id: string;
  /** As the engine lists them, with the leading slash. */
  readonly names: readonly string[];
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly networkMode: string;
  /** `port/proto` keys of `Config.ExposedPorts`. */
  readonly exposedPorts: readonly string[];
  /** Bindings asked for and bindings in force. */
  readonly portBindings: readonly PortBinding[];
  /** Bytes reserved. */
  readonly memory: number;
  /** CPUs reserved. */
  readonly cpus: number;
}

export interface PortBinding {
  readonly protocol: string;
  readonly hostIp: string;
  readonly hostPort: string;
}

export interface ImageView {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
}

/** One validated engine as the scheduler sees it. */
export interface NodeView {
  readonly id: string;
  readonly name: string;
  readonly addr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly containers: readonly ContainerView[];
  readonly images: readonly ImageView[];
  /** Bytes and CPUs, with over-commit. */
  readonly totalMemory: number;
  readonly totalCpus: number;
  /** 0 (not to be used) to 100. */
  readonly health: number;
  /** No new containers, by an operator's order. */
  readonly drained: boolean;
}

/** What a container asks of its node. */
export interface Demand {
  readonly name: string;
  readonly image: string;
  readonly memory: number;
  readonly cpus: number;
  readonly networkMode: string;
  readonly exposedPorts: readonly string[];
  readonly portBindings: readonly PortBinding[];
  /** Beginning of the id of a container whose ports it takes over; empty for none. */
  readonly replaces: string;
  /** Names or ids of containers that must be on the same node, with the flag that said so. */
  readonly dependencies: readonly { readonly flag: string; readonly text: string; readonly container: string }[];
  readonly constraints: readonly string[];
  readonly affinities: readonly string[];
  readonly whitelists: readonly string[];
}

export const EMPTY_DEMAND: Demand = {
  name: '',
  image: '',
  memory: 0,
  cpus: 0,
  networkMode: '',
  exposedPorts: [],
  portBindings: [],
  replaces: '',
  dependencies: [],
  constraints: [],
  affinities: [],
  whitelists: [],
};
