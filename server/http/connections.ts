import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Database } from '../database/database.ts';
import type { Actor } from '../domain/actor.ts';
import { findLiveActors, hasSameRights } from '../domain/principals/live-actors.ts';
import { AppError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';

const sweepMs = 400;
/** What a connection that was told to end has for saying why, before it is cut. */
const farewellMs = 250;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer stays open: it counts towards the caps, and ends with the key or session that asked. */
    live?: boolean;
  }
  interface FastifyRequest {
    /** Null for answers that do not stay open. */
    openAnswer: OpenAnswer | null;
  }
}

export interface ConnectionLimits {
  /** Open answers (WebSocket, server-sent events) of this process. */
  total: number;
  perPrincipal: number;
}

/** An answer that stays open, as whoever serves it sees it. Thousands of them lie idle, so it holds little. */
export class OpenAnswer {
  readonly actor: Actor;
  readonly #socket: Socket;
  /** The answer of HTTP that an upgraded socket has outlived; null once it is let go. */
  #response: ServerResponse | null;
  #reason: string | null = null;
  #onEnd: (() => void) | null = null;

  constructor(actor: Actor, socket: Socket, response: ServerResponse) {
    this.actor = actor;
    this.#socket = socket;
    this.#response = response;
  }

  /** Why it must end, as a sentence; null while it need not. */
  get reason(): string | null {
    return this.#reason;
  }

  /** @param onEnd called once when it must end; at once where it must already */
  watch(onEnd: () => void): void {
    if (this.#reason === null) this.#onEnd = onEnd;
    else onEnd();
  }

  /** What is said once: a WebSocket needs neither its request nor the answer to it any more. */
  forgetRequest(): void {
    this.#response?.detachSocket(this.#socket);
    this.#response = null;
  }

  end(reason: string): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#onEnd?.();
    setTimeout(() => this.#socket.destroy(), farewellMs);
  }
}

/**
 * The open answers of this process. Each ends within a second after its key was revoked or expired, its session
 * ended, or its principal was disabled or changed, in whichever process that happened: the rows are looked at
 * again every 400 ms, so nothing rests on a notification that might be lost.
 */
export class Connections implements AsyncDisposable {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #limits: ConnectionLimits;
  readonly #open = new Set<OpenAnswer>();
  readonly #byPrincipal = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: { database: Database; log: Logger; limits: ConnectionLimits }) {
    this.#database = options.database;
    this.#log = options.log;
    this.#limits = options.limits;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * As a hook after authentication, and so before any upgrade: counts the answer in, and out when it is over.
   * @throws AppError too_many_connections
   */
  readonly admit = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (request.routeOptions.config.live !== true) return;
    const { actor } = request;
    const ofPrincipal = this.#byPrincipal.get(actor.id) ?? 0;
    if (this.#open.size >= this.#limits.total) throw refusal('server', 'This server holds');
    if (ofPrincipal >= this.#limits.perPrincipal) throw refusal('principal', `${actor.name} holds`);
    const { socket } = request.raw;
    const connection = new OpenAnswer(actor, socket, reply.raw);
    request.openAnswer = connection;
    this.#open.add(connection);
    this.#byPrincipal.set(actor.id, ofPrincipal + 1);
    const release = () => this.#release(connection);
    socket.once('close', release);
    // A socket that is kept alive outlives its answer; one that was upgraded is the answer.
    if (request.headers.upgrade === undefined) {
      reply.raw.once('close', () => {
        socket.off('close', release);
        release();
      });
    }
    this.#timer ??= setTimeout(() => this.#sweep(), sweepMs);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  #release(connection: OpenAnswer): void {
    if (!this.#open.delete(connection)) return;
    const left = (this.#byPrincipal.get(connection.actor.id) ?? 1) - 1;
    if (left === 0) this.#byPrincipal.delete(connection.actor.id);
    else this.#byPrincipal.set(connection.actor.id, left);
  }

  #sweep(): void {
    this.#sweeping = this.#endStale().finally(() => {
      this.#timer =
        this.#open.size === 0 || this.#closed ? undefined : setTimeout(() => this.#sweep(), sweepMs);
    });
  }

  async #endStale(): Promise<void> {
    const actors = [...this.#open].map(({ actor }) => actor);
    const keys = new Set(actors.flatMap(({ keyId }) => keyId ?? []));
    const sessions = new Set(actors.flatMap(({ sessionId }) => sessionId ?? []));
    try {
      const live = await findLiveActors(this.#database, { keys: [...keys], sessions: [...sessions] });
      for (const connection of this.#open) {
        // One that came in while the rows were read is looked at the next time.
        const id = connection.actor.keyId ?? connection.actor.sessionId;
        if (id === null || !(keys.has(id) || sessions.has(id))) continue;
        const now = live.get(id);
        if (now === undefined) connection.end('the key or session behind this connection has ended');
        else if (!hasSameRights(now, connection.actor))
          connection.end('what this principal may do has changed: connect again');
      }
    } catch (error) {
      // Without the database no event reaches anybody either.
      this.#log.warn({ error: messageOf(error) }, 'open connections cannot be looked at now');
    }
  }
}

/**
 * A refused upgrade's socket is no longer read as HTTP, so it would stay open for as long as its client likes:
 * it is closed with the answer.
 */
export function closeRefusedUpgrades(server: FastifyInstance): void {
  server.addHook('onSend', async (request, reply, payload) => {
    if (request.headers.upgrade === undefined) return payload;
    void reply.header('connection', 'close');
    reply.raw.once('finish', () => request.raw.socket.end());
    return payload;
  });
}

function refusal(whose: 'server' | 'principal', holds: string): AppError {
  const code = whose === 'server' ? 'too_many_connections' : 'rate_limited';
  return new AppError(code, `${holds} as many open connections as it may. Close one, or try again in 5 s.`, {
    detail: { retryAfterSeconds: 5 },
  });
}
