/** What a command is: data that help, parsing, completion and the printed reference are made from. */
import type { Session } from '../session.js';

/** Kinds of objects whose names completion and "did you mean" look up at netmaster. */
export type ObjectKind =
  | 'tenant'
  | 'network'
  | 'group'
  | 'endpoint'
  | 'host'
  | 'policy'
  | 'netprofile'
  | 'app-profile'
  | 'external-contracts'
  | 'service';

export interface Flag {
  /** Long name, without dashes. */
  readonly name: string;
  /** Short name, without dash; may have several letters (`s6`), as Go's flag package allows. */
  readonly short?: string;
  readonly kind: 'text' | 'number' | 'list' | 'switch';
  readonly help: string;
  /** What stands for the value in help. */
  readonly value?: string;
  readonly default?: string | number;
  readonly env?: string;
  readonly choices?: readonly string[];
  /** The value names an object of this kind. */
  readonly of?: ObjectKind;
  /** The value is the path of a file: the shell completes it. */
  readonly file?: true;
  /** The value may name several, separated by commas. */
  readonly several?: true;
}

export interface Argument {
  readonly name: string;
  readonly of?: ObjectKind;
  readonly choices?: readonly string[];
}

export interface Example {
  /** Without the word `netctl`. */
  readonly line: string;
  readonly what: string;
}

export type Run = (session: Session) => Promise<void>;

interface Named {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line, without a full stop. */
  readonly summary: string;
  /** More, in whole sentences. */
  readonly details?: string;
}

/** A command that does something. */
export interface Leaf extends Named {
  readonly kind: 'leaf';
  readonly args: readonly Argument[];
  /** Any number of these may follow. */
  readonly rest?: Argument;
  /** Said when arguments are missing. */
  readonly missing?: string;
  readonly flags: readonly Flag[];
  readonly examples: readonly Example[];
  /** Loads the code when it is needed, so that the program starts fast. */
  readonly load: () => Promise<Run>;
}

/** A command that only has others. */
export interface Branch extends Named {
  readonly kind: 'branch';
  readonly commands: readonly Node[];
  readonly examples: readonly Example[];
}

export type Node = Branch | Leaf;

/** The child of that name or alias. */
export function child(branch: Branch, word: string): Node | undefined {
  return branch.commands.find((node) => node.name === word || node.aliases?.includes(word));
}

/** Every leaf with the names that lead to it. */
export function* leaves(
  branch: Branch,
  path: readonly string[] = [],
): Generator<{ readonly leaf: Leaf; readonly path: readonly string[] }> {
  for (const node of branch.commands) {
    if (node.kind === 'leaf') yield { leaf: node, path: [...path, node.name] };
    else yield* leaves(node, [...path, node.name]);
  }
}
