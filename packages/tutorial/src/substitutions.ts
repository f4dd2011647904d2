/** Where this machine is not the tutorial's: what is typed instead of what is printed. Everything else is typed as printed. */
import type { Engine } from './step.js';

export interface Substitution {
  readonly printed: RegExp;
  /** As in `String.replace`. */
  readonly typed: string;
  readonly why: string;
  /** For people: the two as they stand in a table. */
  readonly shown: readonly [printed: string, typed: string];
  /** On this engine only. */
  readonly engine?: Engine;
}

export const SUBSTITUTIONS: readonly Substitution[] = [
  {
    printed: /^vagrant status$/,
    typed: 'bin/lab status',
    shown: ['vagrant status', 'bin/lab status'],
    why: 'hosts are namespaces of this machine, not virtual machines',
  },
  {
    printed: /^vagrant ssh (\S+)$/,
    typed: 'bin/lab ssh $1',
    shown: ['vagrant ssh HOST', 'bin/lab ssh HOST'],
    why: 'the same',
  },
  {
    printed: /^sudo usermod -aG docker \$USER$/,
    typed: 'docker ps',
    shown: ['sudo usermod -aG docker $USER', 'docker ps'],
    why: 'everybody in a host is root; docker answers without sudo',
  },
  {
    printed: /^sudo yum -y install (\S+)$/,
    typed: 'command -v $1',
    shown: ['sudo yum -y install TOOL', 'command -v TOOL'],
    why: 'nothing is downloaded; the tool has to be there',
  },
  {
    printed: /^(docker network create -d=overlay) /,
    typed: '$1 --attachable ',
    shown: ['docker network create -d=overlay …', 'docker network create -d=overlay --attachable …'],
    why: 'engines since 23 have no cluster store; overlay networks are those of swarm mode, and plain containers may join if attachable',
    engine: 'modern',
  },
  {
    printed: /^(docker run .*)contiv\/alpine /,
    typed: '$1alpine ',
    shown: ['docker run … contiv/alpine sh', 'docker run … alpine sh'],
    why: 'nothing is downloaded; the image of the lab',
  },
  {
    printed: /^iperf -s -p (\d+)$/,
    typed: 'httpd -p $1',
    shown: ['iperf -s -p PORT', 'httpd -p PORT'],
    why: 'a server that the image has; it listens once its prompt is back',
  },
  {
    printed: /^nc -zvw 1 (\S+) (\d+)$/,
    typed: 'nc -w 1 $1 $2 </dev/null >/dev/null && echo open',
    shown: ['nc -zvw 1 IP PORT', 'nc -w 1 IP PORT </dev/null >/dev/null && echo open'],
    why: "the image's nc is busybox's",
  },
];

/** The substitutions that a tutorial needs. */
export const usedIn = (commands: readonly string[]): readonly Substitution[] =>
  SUBSTITUTIONS.filter(({ printed }) => commands.some((command) => printed.test(command)));

/** Commands of the first tutorial that are not typed at all. */
export const LEFT_OUT: readonly (readonly [printed: string, why: string])[] = [
  ['vagrant box add, git clone, curl of the release, cd', 'this repository is all of it'],
  ['make cluster-legacy-swarm; install_swarm.sh', 'the other way to do what make demo-legacy-swarm does'],
];

/** What engines show differently, by the name it has in the chapters. */
export const ENGINE_WORDS: Readonly<Record<Engine, Readonly<Record<string, string>>>> = {
  // A cluster store makes one network for all engines; without it each engine has its own, and swarm shows them as one.
  system: { SCOPE: 'global', OVERLAY: 'global' },
  modern: { SCOPE: 'local', OVERLAY: 'swarm' },
};

export function typedFor(printed: string, engine: Engine): string {
  for (const { printed: pattern, typed, engine: only } of SUBSTITUTIONS)
    if ((only === undefined || only === engine) && pattern.test(printed)) return printed.replace(pattern, typed);
  return printed;
}
