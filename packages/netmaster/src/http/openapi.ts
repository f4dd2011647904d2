/** Puts into the generated OpenAPI document what the shapes alone do not say. Pure. */

type Json = null | boolean | number | string | Json[] | { [member: string]: Json };
type JsonObject = { [member: string]: Json };

const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A refusal, on every operation (spec/contiv §1.1). */
const REFUSAL: JsonObject = {
  description:
    'A refusal. Clients that accept application/problem+json get its honest status (400, 404, 409, 413, 503) and RFC 9457; others get status 500 and its sentence as text.',
  content: {
    'text/plain': { schema: { type: 'string' } },
    'application/problem+json': {
      schema: {
        type: 'object',
        required: ['type', 'title', 'status', 'code', 'detail'],
        properties: {
          type: { type: 'string' },
          title: { type: 'string' },
          status: { type: 'integer' },
          code: {
            type: 'string',
            enum: ['invalid', 'denied', 'not-found', 'conflict', 'in-use', 'exhausted', 'too-large', 'unavailable', 'internal'],
          },
          detail: { type: 'string' },
        },
      },
    },
  },
};

/** A copy in which required members are listed, zero defaults are silent, answers may grow, and refusals are described. */
export function polish(document: unknown): unknown {
  const copy = clean(JSON.parse(JSON.stringify(document)) as Json);
  if (!isObject(copy) || !isObject(copy.paths)) return copy;
  for (const path of Object.values(copy.paths)) {
    if (!isObject(path)) continue;
    for (const operation of Object.values(path)) {
      if (isObject(operation) && isObject(operation.responses)) operation.responses.default = REFUSAL;
    }
  }
  return copy;
}

function clean(value: Json): Json {
  if (Array.isArray(value)) return value.map(clean);
  if (!isObject(value)) return value;
  const { additionalProperties, propertyNames: _names, ...rest } = value;
  const out: JsonObject = Object.fromEntries(Object.entries(rest).map(([key, member]) => [key, clean(member)]));
  // Answers may get more members one day.
  if (additionalProperties !== undefined && additionalProperties !== false) out.additionalProperties = clean(additionalProperties);
  if (!isObject(value.properties) || !isObject(out.properties)) return out;
  const required = new Set(Array.isArray(out.required) ? out.required : []);
  for (const [name, property] of Object.entries(out.properties)) {
    if (!isObject(property) || !('default' in property)) continue;
    if (refusesEmpty(property)) required.add(name);
    if (isZero(property.default)) delete property.default;
  }
  if (required.size > 0) out.required = [...required];
  return out;
}

/** An absent member is taken as empty, which this one does not allow. */
function refusesEmpty(property: JsonObject): boolean {
  if (property.default !== '') return false;
  if (typeof property.pattern === 'string') return !new RegExp(property.pattern).test('');
  return Array.isArray(property.enum) && !property.enum.includes('');
}

const isZero = (value: Json | undefined): boolean =>
  value === '' || value === 0 || value === false || (Array.isArray(value) && value.length === 0);
