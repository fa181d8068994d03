import type { z } from 'zod';
import type { Tool } from './tool.ts';

export type ParsedCall =
  | { ok: true; tool: Tool; input: unknown }
  | { ok: false; errorClass: 'unknown_tool' | 'invalid_arguments'; message: string };

/** Reads a call as a model wrote it; whatever is wrong with it is said so that the model can mend it. */
export function parseCall(tools: readonly Tool[], name: string, argumentsText: string): ParsedCall {
  const tool = tools.find((candidate) => candidate.name === name);
  if (!tool) return { ok: false, errorClass: 'unknown_tool', message: explainUnknown(tools, name) };
  const json = parseJson(argumentsText);
  if (!json.ok) return invalid(`the arguments of ${name} are not valid JSON: ${json.message}`);
  if (typeof json.value !== 'object' || json.value === null || Array.isArray(json.value)) {
    return invalid(`the arguments of ${name} must be a JSON object, not ${nameOf(json.value)}`);
  }
  const parsed = tool.input.safeParse(json.value);
  if (parsed.success) return { ok: true, tool, input: parsed.data };
  const problems = parsed.error.issues.map((issue) => `- ${explainIssue(issue, json.value)}`);
  const takes = `${name} takes ${describeArguments(tool)}`;
  return invalid([`the arguments of ${name} are not valid:`, ...problems, takes].join('\n'));
}

function invalid(message: string): ParsedCall {
  return { ok: false, errorClass: 'invalid_arguments', message };
}

type Json = { ok: true; value: unknown } | { ok: false; message: string };

/** Nothing at all counts as no arguments: that is how providers write a call without any. */
function parseJson(text: string): Json {
  if (text.trim() === '') return { ok: true, value: {} };
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    if (isCutOff(text)) {
      const end = JSON.stringify(text.slice(-40));
      return {
        ok: false,
        message: `they are cut off after ${text.length} characters, at ${end}. Send the call again, whole; if it was too long, in smaller parts`,
      };
    }
    return { ok: false, message: error.message };
  }
}

/** Whether a text ends within a string, or with brackets still open. */
function isCutOff(text: string): boolean {
  let open = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === '\\') at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') open++;
    else if (char === '}' || char === ']') open--;
  }
  return inString || open > 0;
}

function explainIssue(issue: z.core.$ZodIssue, input: unknown): string {
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map((key) => JSON.stringify(key)).join(', ');
    return `unknown ${issue.keys.length === 1 ? 'argument' : 'arguments'} ${names}${path && ` in ${path}`}`;
  }
  const value = issue.path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    input,
  );
  if (issue.code === 'invalid_type') {
    if (value === undefined) return `${path} is missing: expected ${issue.expected}`;
    return `${path}: expected ${issue.expected}, got ${nameOf(value)} (${shorten(value)})`;
  }
  const got = typeof value === 'object' || value === undefined ? '' : `, got ${shorten(value)}`;
  return `${path}: ${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}${got}`;
}

function describeArguments(tool: Tool): string {
  const shape: unknown = 'shape' in tool.input ? tool.input.shape : null;
  if (typeof shape !== 'object' || shape === null) return 'an object';
  const names = Object.entries(shape).map(([key, schema]) => (isOptional(schema) ? `${key}?` : key));
  return names.length === 0 ? 'no arguments' : `{ ${names.join(', ')} }`;
}

function isOptional(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'optional';
}

function explainUnknown(tools: readonly Tool[], name: string): string {
  const names = tools.map((tool) => tool.name);
  const near = names
    .map((candidate) => ({ candidate, distance: distanceOf(name.toLowerCase().slice(0, 100), candidate) }))
    .sort((a, b) => a.distance - b.distance)
    .find(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 3));
  const guess = near ? ` Did you mean ${near.candidate}?` : '';
  return `there is no tool ${JSON.stringify(name.slice(0, 100))}.${guess} There are: ${names.join(', ')}`;
}

/** How many characters must be added, removed or changed to turn one name into another. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
