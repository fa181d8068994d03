import type { FastifyInstance } from 'fastify';
import { AppError } from '../errors.ts';

/** What walks through a body goes as deep as it: deeper than any body of ours, it is refused before anything does. */
const deepest = 200;

/** JSON bodies of the whole server. @throws AppError invalid_request where one is nested too deeply, as an answer */
export function readJsonBodies(server: FastifyInstance): void {
  const parse = server.getDefaultJsonParser('error', 'error');
  server.removeContentTypeParser('application/json');
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = String(body);
    if (depthOf(text) > deepest) {
      done(new AppError('invalid_request', `The body is nested deeper than ${deepest} levels.`), undefined);
      return;
    }
    void parse(request, text, done);
  });
}

/** The same, of bytes that were taken as they came. @throws AppError invalid_request */
export function readJson(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  if (depthOf(text) > deepest)
    throw new AppError('invalid_request', `The body is nested deeper than ${deepest} levels.`);
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new AppError('invalid_request', 'The body is not JSON.', { cause: error });
  }
}

/** How deep the brackets of a JSON text go; those in its strings are text. One pass, whatever the text is. */
export function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const token = text[at];
    if (inString) {
      if (token === '\\') at += 1;
      else if (token === '"') inString = false;
    } else if (token === '"') inString = true;
    else if (token === '[' || token === '{') most = Math.max(most, ++depth);
    else if (token === ']' || token === '}') depth -= 1;
  }
  return most;
}
