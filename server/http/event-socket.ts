import type { WebSocket } from '@fastify/websocket';
import { messageOf } from '../errors.ts';
import type { HttpParts } from './parts.ts';

export interface EventQuery {
  after: number;
  run?: string | undefined;
  task?: string | undefined;
}

const pingMs = 10_000;
/** What may lie unsent before the reader is cut off: it can resume from its cursor. */
const mostBufferedBytes = 4 * 1024 ** 2;
const liveBufferedBytes = 64 * 1024;

/** The log over a WebSocket, as JSON messages; the reader sends nothing. Slow readers are cut with a reason. */
export async function followOverSocket(
  parts: HttpParts,
  socket: WebSocket,
  query: EventQuery,
): Promise<void> {
  const closed = new AbortController();
  const signal = AbortSignal.any([closed.signal, parts.stopping]);
  socket.on('close', () => closed.abort());
  socket.on('error', () => closed.abort());
  const send = (message: object) => {
    if (!signal.aborted) socket.send(JSON.stringify(message));
  };
  const ping = setInterval(() => send({ type: 'ping' }), pingMs);
  using _live = parts.live.watch((live) => {
    const wanted = query.run === undefined || query.run === live.runId;
    if (wanted && socket.bufferedAmount < liveBufferedBytes) send({ type: 'live', live });
  });
  try {
    send({ type: 'hello', head: parts.feed.head });
    const { after, run, task } = query;
    for await (const events of parts.feed.follow({ after, runId: run, taskId: task }, signal)) {
      for (const event of events) send({ type: 'event', event });
      if (socket.bufferedAmount > mostBufferedBytes) {
        socket.close(1013, 'too slow: resume from the last sequence that you saw');
        return;
      }
    }
    socket.close(1001, 'the server is stopping');
  } catch (error) {
    parts.log.warn({ error: messageOf(error) }, 'an event socket failed');
    socket.close(1011, 'resume from the last sequence that you saw');
  } finally {
    clearInterval(ping);
  }
}
