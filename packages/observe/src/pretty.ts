const COLORS: Record<string, number> = { trace: 90, debug: 36, info: 32, warn: 33, error: 31, fatal: 35 };
const HEADER = new Set(['level', 'time', 'pid', 'hostname', 'name', 'component', 'msg', 'err']);

/** One pino JSON record as one readable line: `time LEVEL name/component message key=value …`; a stack follows indented. */
export function formatLine(line: string, color: boolean): string {
  let record: Record<string, unknown>;
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== 'object' || parsed === null) return line;
    record = Object.fromEntries(Object.entries(parsed));
  } catch {
    return line;
  }
  const level = text(record.level);
  const where = [record.name, record.component].filter((part) => part !== undefined).map(text);
  const fields = Object.entries(record)
    .filter(([key]) => !HEADER.has(key))
    .map(([key, value]) => `${key}=${text(value)}`);
  const badge = level.toUpperCase().padEnd(5);
  const parts = [
    text(record.time).slice(11, 23),
    color ? `\u001b[${COLORS[level] ?? 0}m${badge}\u001b[0m` : badge,
    where.join('/'),
    text(record.msg ?? ''),
    ...fields,
  ];
  return `${parts.filter((part) => part !== '').join(' ')}${formatError(record.err)}\n`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
}

function formatError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return error === undefined ? '' : ` err=${text(error)}`;
  const fields = Object.fromEntries(Object.entries(error));
  const stack = typeof fields.stack === 'string' ? fields.stack : text(fields.message ?? error);
  return `\n    ${stack.replaceAll('\n', '\n    ')}`;
}
