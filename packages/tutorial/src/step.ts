/** What a tutorial consists of: commands as it prints them, and what they have to show. */

export const ENGINES = ['system', 'modern'] as const;
export type Engine = (typeof ENGINES)[number];

/**
 * Lines are compared word by word. A word in angle brackets stands for something of its kind (`<n>`, `<id>`, `<ip>`, `<mac>`, `<word>`, `<ms>`),
 * `<host as NODE>` keeps what stands there under a name, and `…` stands for anything. `@NODE@` is what was kept.
 */
export interface Expectation {
  /** These lines, in this order, others between them. */
  readonly shows?: readonly string[];
  /** These lines, in whatever order. */
  readonly rows?: readonly string[];
  /** The output is JSON with at least this in it; a member called `*` is any one. */
  readonly json?: Json;
  /** None of the output's lines is like any of these. */
  readonly never?: readonly string[];
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

export interface Step extends Expectation {
  /** As the tutorial prints it; `^C` is the key. */
  readonly command: string;
  /** The tutorial has two terminals open at times. */
  readonly terminal?: 'second';
  /** It goes on running once it has shown what it has to. */
  readonly runsOn?: true;
}

export interface Chapter {
  readonly title: string;
  /** In our words, for the page. */
  readonly about?: string;
  readonly steps: readonly Step[];
}
