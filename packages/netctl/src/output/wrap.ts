import { printable } from './table.js';

/** `text` behind `head`, broken at spaces so that lines stay within `columns`; what follows stands under where the text began. */
export function wrap(head: string, text: string, columns: number): string[] {
  const width = Math.max(20, columns - head.length);
  const lines: string[] = [];
  let line = '';
  for (const word of printable(text).split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((part, i) => (i === 0 ? head : ' '.repeat(head.length)) + part);
}
