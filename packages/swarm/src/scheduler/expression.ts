/** Expressions of affinities, constraints and white lists (spec/swarm.md 3.3). */
export interface Expression {
  readonly key: string;
  readonly operator: '==' | '!=';
  /** Without the soft mark. */
  readonly value: string;
  readonly soft: boolean;
}

export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
}

const KEY = /^[a-z_][a-z0-9\-_.]+$/i;
const VALUE = /^[=!/]?~?[a-z0-9:\-_\s.*/()?+[\]\\^$|]+$/i;
/** What RE2 has not, and what makes a backtracking matcher slow: look-around, back references, a repeated group that repeats. */
const REFUSED = /\(\?[=!<]|\\[1-9]|\\k<|\([^)]*[+*][^)]*\)[+*{]/;
const MAX_LENGTH = 1024;

/** @throws ExpressionError */
export function parseExpression(text: string): Expression {
  if (text.length > MAX_LENGTH) throw new ExpressionError(`Expression of ${text.length} characters is longer than ${MAX_LENGTH}`);
  for (const operator of ['==', '!='] as const) {
    const at = text.indexOf(operator);
    if (at < 0) continue;
    const key = text.slice(0, at);
    const value = text.slice(at + operator.length);
    if (!KEY.test(key)) throw new ExpressionError(`Key '${key}' is invalid`);
    if (!VALUE.test(value)) throw new ExpressionError(`Value '${value}' is invalid`);
    const soft = value.startsWith('~');
    return { key, operator, value: soft ? value.replace(/^~+/, '') : value, soft };
  }
  throw new ExpressionError('One of operator ==, != is expected');
}

/** Whether the expression holds for a node that offers these candidate strings. */
export function holds(expression: Expression, candidates: readonly string[]): boolean {
  const matcher = compiled(expression);
  const any = matcher !== undefined && candidates.some((candidate) => matcher.test(candidate));
  return expression.operator === '==' ? any : !any;
}

/** One expression is held against every node. */
function compiled(expression: Expression): RegExp | undefined {
  const known = COMPILED.get(expression);
  if (known !== undefined) return known.matcher;
  const matcher = compile(expression.value);
  COMPILED.set(expression, { matcher });
  return matcher;
}
const COMPILED = new WeakMap<Expression, { readonly matcher: RegExp | undefined }>();

/** `/re/` is a pattern found anywhere; anything else is a glob whose other metacharacters stay live. Undefined matches nothing. */
function compile(value: string): RegExp | undefined {
  const isPattern = value.length > 1 && value.startsWith('/') && value.endsWith('/');
  let source = isPattern ? value.slice(1, -1) : `^${value.replaceAll('*', '.*')}$`;
  let flags = '';
  const inline = /^(\^?)\(\?([ims]+)\)/.exec(source);
  if (inline !== null) {
    flags = inline[2] ?? '';
    source = (inline[1] ?? '') + source.slice(inline[0].length);
  }
  if (REFUSED.test(source)) return undefined;
  try {
    return new RegExp(source, flags);
  } catch {
    return undefined;
  }
}
