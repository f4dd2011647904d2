import { z } from 'zod';
import { LongInteger } from '../json.js';

/** What is read of an engine's answers. Objects that are handed on to clients (`looseObject`) keep all else as it came. */
const text = z.string().max(4096).catch('');
const count = z.union([z.number(), z.instanceof(LongInteger).transform((long) => Number(long.text))]).catch(0);
const labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});

export const infoSchema = z.object({
  ID: text,
  Name: text,
  NCPU: count,
  MemTotal: count,
  Driver: text,
  KernelVersion: text,
  OperatingSystem: text,
  OSType: text,
  Architecture: text,
  SystemTime: text,
  Labels: z
    .array(z.string())
    .nullish()
    .transform((value) => value ?? []),
});
export type Info = z.infer<typeof infoSchema>;

export const versionSchema = z.object({
  Version: text,
  ApiVersion: z.string().regex(/^\d+\.\d+$/),
  MinAPIVersion: z
    .string()
    .regex(/^\d+\.\d+$/)
    .catch('1.24'),
});
export type Version = z.infer<typeof versionSchema>;

const binding = z.object({ HostIp: text.optional(), HostPort: text.optional() });
const bindings = z
  .record(z.string(), z.array(binding).nullish())
  .nullish()
  .transform((value) => value ?? {});

export const inspectSchema = z.object({
  Id: z.string().min(12).max(128),
  Created: text,
  Name: text,
  Image: text,
  State: z.object({
    Status: text,
    Running: z.boolean().catch(false),
    Paused: z.boolean().catch(false),
    Restarting: z.boolean().catch(false),
    Dead: z.boolean().catch(false),
    ExitCode: count,
    StartedAt: text,
    FinishedAt: text,
    Health: z.object({ Status: text }).nullish(),
  }),
  Config: z.object({ Image: text, Labels: labels, ExposedPorts: z.record(z.string(), z.unknown()).nullish() }),
  HostConfig: z.object({
    NetworkMode: text,
    Memory: count,
    CpuShares: count,
    NanoCpus: count,
    PortBindings: bindings,
    Links: z.array(z.string()).nullish(),
    VolumesFrom: z.array(z.string()).nullish(),
  }),
  Mounts: z.array(z.object({ Name: text.optional(), Destination: text.optional() })).nullish(),
  NetworkSettings: z.object({
    Ports: bindings,
    Networks: z.record(z.string(), z.object({ NetworkID: text.optional() })).nullish(),
  }),
});
export type Inspect = z.infer<typeof inspectSchema>;

export const rowSchema = z.looseObject({
  Id: z.string().min(12).max(128),
  Names: z
    .array(z.string())
    .nullish()
    .transform((value) => value ?? []),
  Image: text,
  ImageID: text.optional(),
  Created: count,
  State: text,
  Status: text,
  Labels: labels,
  NetworkSettings: z.looseObject({ Networks: z.record(z.string(), z.unknown()).nullish() }).nullish(),
  Ports: z
    .array(
      z.looseObject({
        IP: z.string().optional(),
        PublicPort: z.number().optional(),
        PrivatePort: z.number().optional(),
        Type: z.string().optional(),
      }),
    )
    .nullish(),
});
export type Row = z.infer<typeof rowSchema>;

export const imageSchema = z.looseObject({
  Id: z.string(),
  Created: count,
  Size: count,
  Labels: labels,
  RepoTags: z
    .array(z.string())
    .nullish()
    .transform((value) => value ?? []),
  RepoDigests: z
    .array(z.string())
    .nullish()
    .transform((value) => value ?? []),
});
export type Image = z.infer<typeof imageSchema>;

export const networkSchema = z.looseObject({ Id: z.string(), Name: z.string(), Driver: text, Scope: text, Labels: labels });
export type Network = z.infer<typeof networkSchema>;

export const volumeSchema = z.looseObject({ Name: z.string(), Driver: text, Labels: labels });
export type Volume = z.infer<typeof volumeSchema>;

export const eventSchema = z.looseObject({
  Type: text,
  // Holds the whole command of an exec.
  Action: z.string().catch(''),
  Actor: z.looseObject({ ID: text, Attributes: labels }).optional(),
  status: z.string().optional(),
  id: z.string().optional(),
  from: z.string().optional(),
  scope: z.string().optional(),
  time: count,
  timeNano: z.union([z.number(), z.instanceof(LongInteger)]).optional(),
});
export type EngineEvent = z.infer<typeof eventSchema>;
