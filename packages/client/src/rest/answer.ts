/** From HTTP answers to values and errors. Pure. */
import { problemBody, REFUSAL_STATUS, type RefusalCode } from '@contiv/model';
import { z } from 'zod';
import { ApiError } from './errors.js';
import type { HttpAnswer } from './transport.js';

const MAX_SENTENCE = 2_000;

/**
 * The answer's value, held to its shape. What the shape does not name is kept, so that an inspection shows whatever a newer netmaster adds.
 * The shape must have no transforms.
 */
export function readAnswer<S extends z.ZodType>(schema: S, answer: HttpAnswer, path: string): z.output<S> {
  if (answer.status !== 200) throw errorOf(answer);
  const value = jsonOf(answer.text);
  const parsed = schema.safeParse(value);
  if (parsed.success) return value as z.output<S>;
  const [issue] = parsed.error.issues;
  const where = issue && issue.path.length > 0 ? ` (${issue.path.join('.')}: ${issue.message})` : '';
  throw notUnderstood(answer, path, where);
}

export const notUnderstood = ({ url, status }: Pick<HttpAnswer, 'url' | 'status'>, path: string, where = ''): ApiError =>
  new ApiError(
    status,
    'not-understood',
    `the answer of ${url} to ${path} is not understood${where}`,
    'is a netmaster of this version listening there?',
  );

const anyJson = z.unknown().refine((value) => value !== undefined);

/** Of an answer that only says it was done. What is no JSON was said by something else than a netmaster, which did nothing. */
export function readDone(answer: HttpAnswer, path: string): void {
  readAnswer(anyJson, answer, path);
}

/** What another status than 200 means (spec/contiv §3.1). */
export function errorOf(answer: HttpAnswer): ApiError {
  const error = refusalOf(answer);
  const before = (answer.before ?? []).map(({ url, reason }) => `${url} was asked before, and may have done it: ${reason}`);
  return before.length === 0
    ? error
    : new ApiError(error.status, error.code, error.detail, [error.hint, ...before].filter((part) => part !== '').join('; '));
}

function refusalOf(answer: HttpAnswer): ApiError {
  const { status, text } = answer;
  const problem = answer.type === 'application/problem+json' ? problemBody.safeParse(jsonOf(text)) : undefined;
  if (problem?.success) {
    const [detail, hint] = sentences(problem.data.detail);
    return new ApiError(status, isRefusal(problem.data.code) ? problem.data.code : 'internal', detail || problem.data.title, hint);
  }
  if (status === 404) return new ApiError(status, 'not-found', 'Page not found!', `is ${answer.url} a netmaster?`);
  if (status === 403) return new ApiError(status, 'denied', 'Access denied!');
  // netmasters of old say everything with 500; what follows the first line is a stack trace.
  if (status === 500) {
    const [detail] = sentences(text);
    return new ApiError(status, /not found\.?$/i.test(detail) ? 'not-found' : 'internal', detail || 'netmaster gave no reason');
  }
  const line = `${status} ${answer.statusText}`.trim();
  if (status === 401) return new ApiError(status, 'denied', line, 'log in first: netctl --netmaster https://PROXY:10000 login');
  return new ApiError(status, status === 503 ? 'unavailable' : 'internal', line);
}

/** First line, and the rest joined to one. */
function sentences(text: string): [string, string] {
  const [first = '', ...rest] = text.slice(0, MAX_SENTENCE).trim().split('\n');
  return [
    first.trim(),
    rest
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .join('; '),
  ];
}

const isRefusal = (code: string): code is RefusalCode => Object.hasOwn(REFUSAL_STATUS, code);

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
