export interface ServerSentEvent {
  id: string;
  event: string;
  data: string;
}

/**
 * The events of a `text/event-stream`, as its standard reads them; comments are skipped.
 * @param heard called for each piece that came, whatever it holds
 */
export async function* readServerSentEvents(
  chunks: AsyncIterable<Uint8Array>,
  heard: () => void = () => undefined,
): AsyncGenerator<ServerSentEvent> {
  let fields = { id: '', event: 'message', data: [] as string[] };
  for await (const line of readLines(chunks, heard)) {
    if (line === '') {
      if (fields.data.length > 0) yield { ...fields, data: fields.data.join('\n') };
      fields = { id: '', event: 'message', data: [] };
      continue;
    }
    const colon = line.indexOf(':');
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') fields.data.push(value);
    else if (name === 'id' || name === 'event') fields[name] = value;
  }
}

async function* readLines(chunks: AsyncIterable<Uint8Array>, heard: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    heard();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n/);
    rest = lines.pop() ?? '';
    yield* lines;
  }
}
