import type { JsonSchema } from './components.ts';
import type { OpenApiDocument, Operation } from './document.ts';
import { exampleOf } from './examples.ts';
import { describeType, renderFields } from './reference-schema.ts';
import { referenceStyle } from './reference-style.ts';

/** The reference as one page without scripts: every operation with its schemas, an example and a line for curl. */
export function renderReference(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const groups = document.tags.map(({ name }) => ({
    name,
    operations: operations.filter(({ operation }) => operation.tags.includes(name)),
  }));
  const navigation = groups.map(
    ({ name, operations: listed }) =>
      `<details><summary>${text(name)}</summary><ul>${listed
        .map(({ operation, method }) => link(operation, method))
        .join('')}</ul></details>`,
  );
  const sections = groups.map(
    ({ name, operations: listed }) => `<section aria-labelledby="tag-${attribute(name)}">
<h2 id="tag-${attribute(name)}">${text(name)}</h2>
${listed.map(({ path, method, operation }) => renderOperation(document, path, method, operation)).join('\n')}
</section>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Mission Control API ${text(document.info.version)}</title>
<link rel="icon" href="/favicon.svg"><style>${referenceStyle}</style></head>
<body><a class="skip" href="#content">Skip to the content</a>
<nav aria-label="Operations"><p class="brand">Mission Control API <span>${text(document.info.version)}</span></p>
<p><a href="/api/v1/openapi.json">openapi.json</a></p>
${navigation.join('\n')}
<details><summary>schemas</summary><ul>${Object.keys(document.components.schemas)
    .map((name) => `<li><a href="#schema-${attribute(name)}">${text(name)}</a></li>`)
    .join('')}</ul></details></nav>
<main id="content"><h1>API reference</h1>
${document.info.description
  .split('\n\n')
  .map((paragraph) => `<p>${prose(paragraph)}</p>`)
  .join('')}
${sections.join('\n')}
<section aria-labelledby="schemas"><h2 id="schemas">Schemas</h2>
${Object.entries(document.components.schemas)
  .map(([name, schema]) => renderSchema(name, schema))
  .join('\n')}
</section></main></body></html>
`;
}

function link(operation: Operation, method: string): string {
  return `<li><a href="#${attribute(operation.operationId)}"><span class="method">${method}</span> ${text(operation.summary)}</a></li>`;
}

function renderOperation(
  document: OpenApiDocument,
  path: string,
  method: string,
  operation: Operation,
): string {
  const body = operation.requestBody?.content['application/json'];
  const parameters = operation.parameters.map(
    (parameter) =>
      `<tr><th scope="row"><code>${text(parameter.name)}</code></th><td>${parameter.in}${
        parameter.required ? ', required' : ''
      }</td><td>${describeType(parameter.schema)}${parameter.description === undefined ? '' : `. ${prose(parameter.description)}`}</td></tr>`,
  );
  return `<article id="${attribute(operation.operationId)}">
<h3>${text(operation.summary)}</h3>
<p class="address"><span class="method">${method}</span> <code>${text(path)}</code></p>
<p>${prose(operation.description)}</p>
${
  parameters.length === 0
    ? ''
    : `<details><summary>Parameters</summary><div class="wide"><table><tbody>${parameters.join('')}</tbody></table></div></details>`
}
${body === undefined ? '' : `<details><summary>Body</summary><p>${describeType(body.schema)}</p>${renderFields(resolveName(document, body.schema))}</details>`}
<details><summary>Answers</summary><dl>${Object.entries(operation.responses)
    .map(([status, response]) => renderResponse(document, status, response))
    .join('')}</dl></details>
<pre tabindex="0"><code>${text(curlLine(document, path, method, operation))}</code></pre>
</article>`;
}

function renderResponse(document: OpenApiDocument, status: string, response: JsonSchema): string {
  const reference = response['$ref'];
  const found =
    typeof reference === 'string'
      ? (document.components.responses[reference.split('/').at(-1) ?? ''] ?? {})
      : response;
  const content = typeof reference === 'string' ? undefined : schemaOf(found);
  const example =
    content === undefined
      ? ''
      : `<pre tabindex="0"><code>${text(
          JSON.stringify(
            exampleOf(content, (name) => document.components.schemas[name] ?? {}),
            null,
            2,
          ),
        )}</code></pre>`;
  return `<dt>${text(status)}</dt><dd>${text(`${found['description'] ?? ''}`)}${
    content === undefined ? '' : ` ${describeType(content)}`
  }${example}</dd>`;
}

/** What a named schema stands for. */
function resolveName(document: OpenApiDocument, schema: JsonSchema): JsonSchema {
  const reference = schema['$ref'];
  if (typeof reference !== 'string') return schema;
  return document.components.schemas[reference.split('/').at(-1) ?? ''] ?? schema;
}

function schemaOf(response: JsonSchema): JsonSchema | undefined {
  const { content } = response;
  if (typeof content !== 'object' || content === null || !('application/json' in content)) return undefined;
  const json = content['application/json'];
  if (typeof json !== 'object' || json === null || !('schema' in json)) return undefined;
  return { ...Object(json.schema) };
}

function renderSchema(name: string, schema: JsonSchema): string {
  return `<article id="schema-${attribute(name)}"><h3><code>${text(name)}</code></h3>${renderFields(schema)}</article>`;
}

/** What can be pasted into a shell, once KEY and the identifiers are there. */
export function curlLine(
  document: OpenApiDocument,
  path: string,
  method: string,
  operation: Operation,
): string {
  const url = `http://127.0.0.1:4700${path.replace(/\{(\w+)\}/g, (_all, name: string) => name.toUpperCase())}`;
  const required = operation.parameters.filter((parameter) => parameter.in === 'query' && parameter.required);
  const query = required
    .map(
      ({ name, schema }) =>
        `${name}=${encodeURIComponent(`${exampleOf(schema, (component) => document.components.schemas[component] ?? {}, { name })}`)}`,
    )
    .join('&');
  const lines = [`curl ${method === 'GET' ? '' : `-X ${method} `}'${url}${query === '' ? '' : `?${query}`}'`];
  if (operation.security?.length !== 0) lines.push("-H 'Authorization: Bearer KEY'");
  if (operation.parameters.some(({ name }) => name === 'Idempotency-Key'))
    lines.push("-H 'Idempotency-Key: A-NEW-UUID'");
  for (const [media, { example }] of Object.entries(operation.requestBody?.content ?? {})) {
    lines.push(`-H 'Content-Type: ${media}'`);
    lines.push(
      example === undefined
        ? '--data-binary @FILE'
        : `-d '${JSON.stringify(example).replaceAll("'", "'\\''")}'`,
    );
  }
  return lines.join(' \\\n  ');
}

/** Text with `code` in it. */
function prose(value: string): string {
  return text(value).replace(/`([^`]+)`/g, '<code>$1</code>');
}

function attribute(value: string): string {
  return value.replace(/[^\w-]/g, '-');
}

function text(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
