/** The program's surroundings, so that tests can give it others. */
export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Is standard output a terminal? */
  readonly outTerminal?: boolean;
  /** Is standard error a terminal? */
  readonly errTerminal: boolean;
  /** Width of the terminal, where there is one. */
  readonly columns?: number | undefined;
  /** Its height. */
  readonly rows?: number | undefined;
  /** The user's home directory. */
  readonly home: string;
  readonly now: () => Date;
  /** A file's text; `-` is standard input. */
  readonly read: (path: string) => Promise<string>;
  /** From now on a signal that ends programs aborts this one's work instead, with the signal's name as reason; one that comes a second later or more ends the program. */
  readonly interrupted?: () => AbortSignal;
  /** Asks the user for one line; `undefined` at the end of the input. */
  readonly ask: (question: string, hidden: boolean) => Promise<string | undefined>;
}
