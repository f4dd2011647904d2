/** Error lines as logrus writes them (spec/contiv §3.1). Pure. */
import { printable } from './table.js';

export interface FailureStyle {
  /** Is standard error a terminal? */
  readonly terminal: boolean;
  readonly color: boolean;
  /** Now, for the line that goes into a file. */
  readonly now: Date;
}

/** `ERRO[0000] message` on a terminal with the hint on lines of its own, `time="…" level=error msg="message" hint="…"` elsewhere. */
export function failureLine(message: string, hint: string, style: FailureStyle): string {
  const said = printable(message);
  const advice = hint.split('\n').map(printable);
  if (style.terminal) {
    const badge = style.color ? '\u001b[31mERRO\u001b[0m' : 'ERRO';
    return `${badge}[0000] ${said}\n${hint === '' ? '' : `${advice.join('\n')}\n`}`;
  }
  const time = style.now.toISOString().replace(/\.\d+Z$/, 'Z');
  return `time="${time}" level=error msg=${quoted(said)}${hint === '' ? '' : ` hint=${quoted(advice.join('; '))}`}\n`;
}

const quoted = (text: string): string => (/^[A-Za-z0-9.-]+$/.test(text) ? text : JSON.stringify(text));
