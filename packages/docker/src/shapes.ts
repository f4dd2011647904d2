/** What we read of the Docker Engine API's answers; members we do not use are ignored. */
import { z } from 'zod';

/** Go encodes empty maps and slices as null. */
const nullable = <T extends z.ZodType>(schema: T, empty: NoInfer<z.output<T>>) =>
  schema.nullish().transform((value): z.output<T> => value ?? empty);

const strings = z.record(z.string(), z.string());

export const engineVersion = z.object({ Version: z.string(), ApiVersion: z.string(), MinAPIVersion: z.string().optional() });
export type EngineVersion = z.infer<typeof engineVersion>;

export const engineInfo = z.object({
  ID: z.string().default(''),
  Name: z.string().default(''),
  ServerVersion: z.string().default(''),
  LiveRestoreEnabled: z.boolean().default(false),
  /** 20.10 with `--cluster-store`; absent in later engines. */
  ClusterStore: z.string().optional(),
  ClusterAdvertise: z.string().optional(),
});
export type EngineInfo = z.infer<typeof engineInfo>;

export const ipamConfig = z.object({
  Subnet: z.string().optional(),
  IPRange: z.string().optional(),
  Gateway: z.string().optional(),
});

/** One endpoint of a network as `network inspect` lists it; keyed by container id, or `ep-ENDPOINT` while it has no sandbox. */
export const networkContainer = z.object({
  Name: z.string().default(''),
  EndpointID: z.string().default(''),
  MacAddress: z.string().default(''),
  IPv4Address: z.string().default(''),
  IPv6Address: z.string().default(''),
});

export const engineNetwork = z.object({
  Name: z.string(),
  Id: z.string(),
  Scope: z.string().default('local'),
  Driver: z.string().default(''),
  EnableIPv6: z.boolean().default(false),
  Internal: z.boolean().default(false),
  IPAM: z
    .object({ Driver: z.string().default(''), Options: nullable(strings, {}), Config: nullable(z.array(ipamConfig), []) })
    .default({ Driver: '', Options: {}, Config: [] }),
  Options: nullable(strings, {}),
  Labels: nullable(strings, {}),
  Containers: nullable(z.record(z.string(), networkContainer), {}),
});
export type EngineNetwork = z.infer<typeof engineNetwork>;

/** One network a container is attached to. */
export const attachment = z.object({
  NetworkID: z.string().default(''),
  EndpointID: z.string().default(''),
  Aliases: nullable(z.array(z.string()), []),
  DNSNames: nullable(z.array(z.string()), []),
  IPAddress: z.string().default(''),
  GlobalIPv6Address: z.string().default(''),
  MacAddress: z.string().default(''),
});
export type Attachment = z.infer<typeof attachment>;

export const containerSummary = z.object({
  Id: z.string(),
  State: z.string().default(''),
  NetworkSettings: z
    .object({
      Networks: nullable(z.record(z.string(), z.object({ NetworkID: z.string().default(''), EndpointID: z.string().default('') })), {}),
    })
    .default({ Networks: {} }),
});
export type ContainerSummary = z.infer<typeof containerSummary>;

export const containerDetail = z.object({
  Id: z.string(),
  Name: z.string().default(''),
  State: z
    .object({
      Running: z.boolean().default(false),
      Pid: z.number().default(0),
      ExitCode: z.number().default(0),
      /** Why the last start failed, one sentence of the engine's; empty after one that did not. */
      Error: z.string().default(''),
    })
    .default({ Running: false, Pid: 0, ExitCode: 0, Error: '' }),
  HostConfig: z
    .object({ RestartPolicy: z.object({ Name: z.string().default('') }).default({ Name: '' }) })
    .default({ RestartPolicy: { Name: '' } }),
  Config: z.object({ Hostname: z.string().default(''), Labels: nullable(strings, {}) }).default({ Hostname: '', Labels: {} }),
  NetworkSettings: z
    .object({ SandboxKey: z.string().default(''), Networks: nullable(z.record(z.string(), attachment), {}) })
    .default({ SandboxKey: '', Networks: {} }),
});
export type ContainerDetail = z.infer<typeof containerDetail>;

export const engineEvent = z.object({
  Type: z.string().default(''),
  Action: z.string().default(''),
  Actor: z.object({ ID: z.string().default(''), Attributes: nullable(strings, {}) }).default({ ID: '', Attributes: {} }),
  timeNano: z.number().optional(),
});
export type EngineEvent = z.infer<typeof engineEvent>;

/** Body of `POST /networks/create`. */
export interface NetworkCreate {
  readonly Name: string;
  readonly CheckDuplicate: boolean;
  readonly Driver: string;
  readonly Attachable: boolean;
  readonly EnableIPv6: boolean;
  readonly Internal: boolean;
  readonly IPAM: {
    readonly Driver: string;
    readonly Options: Readonly<Record<string, string>>;
    readonly Config: readonly { readonly Subnet: string; readonly Gateway?: string }[];
  };
  readonly Options: Readonly<Record<string, string>>;
  readonly Labels: Readonly<Record<string, string>>;
}

/** Body of `POST /containers/create`. */
export interface ContainerCreate {
  readonly Image: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly User: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly HostConfig: { readonly NetworkMode: string; readonly AutoRemove: boolean };
  readonly NetworkingConfig: {
    readonly EndpointsConfig: Readonly<
      Record<string, { readonly IPAMConfig: { readonly IPv4Address: string }; readonly DriverOpts?: Readonly<Record<string, string>> }>
    >;
  };
}

export const created = z.object({ Id: z.string() });
export const networkCreated = z.object({ Id: z.string(), Warning: z.string().nullish() });
export const engineFault = z.object({ message: z.string() });
