/** The tutorials there are, and how each is introduced on paper. */
import { cleanup } from './container-101/cleanup.js';
import { five } from './container-101/five.js';
import { fourNat, fourVlan } from './container-101/four.js';
import { one } from './container-101/one.js';
import { setup } from './container-101/setup.js';
import { three } from './container-101/three.js';
import { two } from './container-101/two.js';
import { beyond } from './contiv-policy/beyond.js';
import { begin, end } from './contiv-policy/ends.js';
import { icmp } from './contiv-policy/icmp.js';
import { tcp } from './contiv-policy/tcp.js';
import type { Chapter } from './step.js';
import { LEFT_OUT } from './substitutions.js';

export interface Tutorial {
  readonly title: string;
  /** Make target that types it. */
  readonly target: string;
  readonly chapters: readonly Chapter[];
  /** Commands that are printed and not typed, and why. */
  readonly leftOut: typeof LEFT_OUT;
}

export const TUTORIALS = {
  'container-101': {
    title: 'The container-101 tutorial, typed',
    target: 'tutorial',
    chapters: [setup, one, two, three, fourNat, fourVlan, five, cleanup],
    leftOut: LEFT_OUT,
  },
  'contiv-policy': {
    title: 'Policies, typed',
    target: 'policy-tutorial',
    chapters: [begin, icmp, tcp, beyond, end],
    leftOut: [],
  },
} as const satisfies Record<string, Tutorial>;

export type TutorialName = keyof typeof TUTORIALS;
export const isTutorial = (name: string): name is TutorialName => Object.hasOwn(TUTORIALS, name);
