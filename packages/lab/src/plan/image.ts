/** A Docker image of one layer in the format of `docker save`, written without an engine so that every engine gives it the same id. */

export interface ImageRecipe {
  readonly tag: string;
  /** Programs copied from this machine with the libraries they need, beside busybox's applets. */
  readonly programs: readonly string[];
  /** What /bin/sh is. Busybox's own shell runs its applets even where a program of the same name exists. */
  readonly shell: string;
}

export const RECIPES: readonly ImageRecipe[] = [
  { tag: 'alpine:latest', programs: [], shell: '/bin/busybox' },
  { tag: 'bench:latest', programs: ['iperf3', 'ping', 'sockperf', 'tcpdump', 'ip', 'dash'], shell: '/usr/bin/dash' },
];

/** Raise it when what goes into the images changes; older caches are then built anew. */
export const IMAGE_VERSION = 2;

export const archiveName = (tag: string): string => `${tag.replace(':', '-')}.v${IMAGE_VERSION}.tar`;

/** `diffId`: sha256 of the uncompressed layer, in hex. */
export function imageConfig(diffId: string, architecture: string): string {
  return JSON.stringify({
    architecture,
    os: 'linux',
    created: '2024-01-01T00:00:00Z',
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['/bin/sh'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
    history: [{ created: '2024-01-01T00:00:00Z', created_by: 'contiv lab' }],
  });
}

export const imageManifest = (tag: string, configName: string): string =>
  JSON.stringify([{ Config: configName, RepoTags: [tag], Layers: ['layer.tar'] }]);

/** Paths of shared libraries and the loader in the output of `ldd`. */
export function librariesOf(ldd: string): string[] {
  return ldd
    .split('\n')
    .map((line) => /(?:=>\s*)?(\/\S+)\s+\(0x/.exec(line)?.[1])
    .filter((path): path is string => path !== undefined);
}

/** Files every image has beside its programs. */
export const IMAGE_FILES: readonly (readonly [string, string])[] = [
  ['etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'],
  ['etc/group', 'root:x:0:\nnogroup:x:65534:\n'],
  ['etc/nsswitch.conf', 'hosts: files dns\n'],
];

export const IMAGE_DIRECTORIES: readonly (readonly [string, number])[] = [
  ['bin', 0o755],
  ['dev', 0o755],
  ['etc', 0o755],
  ['proc', 0o755],
  ['root', 0o700],
  ['run', 0o755],
  ['sys', 0o755],
  ['tmp', 0o1777],
  ['usr/bin', 0o755],
  ['var/run', 0o755],
];
