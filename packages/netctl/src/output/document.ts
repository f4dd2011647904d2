/** Objects as JSON or YAML. */
import { isControl } from './table.js';

/** Two spaces of indent and a newline, as Contiv prints it. */
export function jsonText(value: unknown): string {
  return harmless(`${JSON.stringify(value, null, 2)}\n`);
}

/** The same in one line. */
export const jsonLine = (value: unknown): string => harmless(JSON.stringify(value));

/** Read alike by tools that still take `yes` and `no` for truth values. */
export async function yamlText(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  return harmless(stringify(value, { lineWidth: 0, compat: 'yaml-1.1' }));
}

/** JSON and YAML both know `\uXXXX` inside strings, and outside of strings neither has control characters but line ends. */
function harmless(text: string): string {
  return Array.from(text)
    .map((c) => (c !== '\n' && isControl(c) ? `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}` : c))
    .join('');
}
