/** Completion scripts, and the hidden command that they ask. */
import type { Run } from '../cli/command.js';
import { type Candidate, wanted } from '../cli/complete.js';
import { didYouMean, nearest } from '../cli/suggest.js';
import type { Io } from '../io.js';
import { printable } from '../output/table.js';
import { Server } from '../server.js';
import { CommandError } from '../session.js';
import { grammar } from '../tree/index.js';

/** Offered instead of words where the shell is to complete the name of a file. */
const FILES = ':files';

const BASH = `# Completion of netctl for bash.
_netctl() {
  local line words current
  line=\${COMP_LINE:0:COMP_POINT}
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=\${words[\${#words[@]} - 1]}
  mapfile -t COMPREPLY < <("\${words[0]/#\\~/$HOME}" __complete bash "\${words[@]:1}" 2> /dev/null)
  if [[ \${COMPREPLY[0]} == ${FILES} ]]; then
    COMPREPLY=()
    compopt -o default
    return
  fi
  # readline takes what follows the equals sign for a word of its own.
  if [[ $current == *=* && $COMP_WORDBREAKS == *=* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#"\${current%%=*}="}")
  fi
}
complete -F _netctl netctl
`;

const ZSH = `#compdef netctl
# Completion of netctl for zsh.
_netctl() {
  local -a lines values
  local line
  lines=("\${(@f)$(\${(Q)~words[1]} __complete zsh "\${(@Q)words[2,CURRENT]}" 2> /dev/null)}")
  if [[ $lines[1] == ${FILES} ]]; then
    compset -P '*='
    _files
    return
  fi
  for line in $lines; do
    [[ -n $line ]] && values+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe -V netctl values
}
if [[ \${funcstack[1]} == _netctl ]]; then
  _netctl "$@"
else
  compdef _netctl netctl
fi
`;

const FISH = `# Completion of netctl for fish.
function __netctl_complete
  set -l before (commandline -opc)
  set -l current (commandline -ct)
  set -l offered (command $before[1] __complete fish $before[2..-1] "$current" 2> /dev/null)
  if test "$offered" = ${FILES}
    set -l flag (string match -r '^-[^=]*=' -- "$current")
    set offered "$flag"(__fish_complete_path (string replace -r '^-[^=]*=' '' -- "$current"))
  end
  for each in $offered
    echo $each
  end
end
complete -c netctl -f -k -a '(__netctl_complete)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export const completion: Run = async (session) => {
  const shell = session.arg(0);
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (script === undefined)
    throw new CommandError(`there is no completion for ${shell}`, {
      hint: didYouMean(nearest(shell, Object.keys(SCRIPTS))) || 'give bash, zsh or fish',
      help: true,
    });
  session.print(script);
};

/** Nobody waits longer for a name while typing. */
const LIMITS = { connectTimeoutMs: 300, timeoutMs: 800 };

/** `__complete SHELL WORD…`: one candidate a line; for zsh and fish with its meaning behind a tab. Never fails, never says why. */
export async function complete([shell = '', ...words]: readonly string[], io: Io): Promise<number> {
  const want = wanted(grammar, words.length === 0 ? [''] : words);
  if (want.file) {
    io.out(`${FILES}\n`);
    return 0;
  }
  let candidates: readonly Candidate[] = want.candidates;
  if (want.of !== undefined) {
    const server = new Server(want.values, io);
    try {
      const { namesOfKind } = await import('../names.js');
      // Without a tenant, names of all are offered.
      const tenant = want.values.knows('tenant') ? want.values.text('tenant') : '';
      const names = await namesOfKind(await server.client(LIMITS), want.of, tenant === '' ? undefined : tenant);
      candidates = [...candidates, ...names.map((name): Candidate => [`${want.prefix}${name}`, ''])];
    } catch {
      // Then there are no names to offer.
    } finally {
      server.close();
    }
  }
  const fitting = candidates.filter(([word]) => word.startsWith(want.typed));
  io.out(fitting.map(([word, meaning]) => `${printable(word)}${shell === 'bash' ? '' : `\t${meaning}`}\n`).join(''));
  return 0;
}
