import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MODERN_ROOT } from '@contiv/lab';
import type { Rig } from '../rig/rig.js';
import { type Result, succeed } from '../rig/run.js';

/** `docker compose` of the modern engine's root as a plugin of the machine's CLI, whichever engines the lab has. */
export class Compose {
  readonly #rig: Rig;
  readonly #endpoint: string;
  readonly #dir: string;

  private constructor(rig: Rig, endpoint: string, dir: string) {
    this.#rig = rig;
    this.#endpoint = endpoint;
    this.#dir = dir;
  }

  /** @param file text of the compose file; its project is called `project`. */
  static async of(rig: Rig, endpoint: string, file: string): Promise<Compose> {
    const dir = await mkdtemp(join(tmpdir(), 'swarm-compose-'));
    const plugin = join(dir, 'cli-plugins', 'docker-compose');
    await mkdir(join(dir, 'cli-plugins'));
    const libraries = ['usr/lib', 'lib'].map((where) => `$r/${where}/$(uname -m)-linux-gnu`).join(':');
    const binary = '/usr/libexec/docker/cli-plugins/docker-compose';
    await writeFile(
      plugin,
      `#!/bin/sh\nr=${MODERN_ROOT}\nexec "$r"/lib64/ld-linux-*.so.* --library-path "${libraries}" "$r${binary}" "$@"\n`,
    );
    await chmod(plugin, 0o755);
    await writeFile(join(dir, 'compose.yaml'), file);
    return new Compose(rig, endpoint, dir);
  }

  try(...args: readonly string[]): Promise<Result> {
    const argv = ['compose', '-p', 'project', '-f', join(this.#dir, 'compose.yaml'), '--ansi', 'never', '--progress', 'plain', ...args];
    return this.#rig.tryDocker(this.#endpoint, argv, { env: { DOCKER_CONFIG: this.#dir }, timeoutMs: 120_000 });
  }

  ok(...args: readonly string[]): Promise<string> {
    return succeed(`docker compose ${args.join(' ')}`, this.try(...args));
  }

  dispose(): Promise<void> {
    return rm(this.#dir, { recursive: true, force: true });
  }
}
