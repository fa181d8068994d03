import { createHash, randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { makeFolder } from './folders.ts';
import { askLfs, connectionFailure, type Depth, LfsFailure, linkOf } from './lfs-request.ts';

const mostInOneBatch = 100;
const mostAtOnce = 4;
const mostBytes = 2 * 1024 ** 3;
const mostAnswerBytes = 4 * 1024 ** 2;
const limitMs = 1_800_000;
const mediaType = 'application/vnd.git-lfs+json';

/** A file whose content is wanted. */
export interface Wanted {
  path: string;
  /** SHA-256 of the content, 64 hex digits. */
  oid: string;
  /** Bytes; null where the pointer does not tell. */
  size: number | null;
}

interface Sized extends Wanted {
  size: number;
}

/** A file whose content was not to be had. What was had before it is kept. */
export class NotDownloaded extends Error {
  readonly path: string;
  /** Whether another try may help. */
  readonly again: boolean;
  constructor(path: string, reason: LfsFailure) {
    super(reason.message, { cause: reason });
    this.name = 'NotDownloaded';
    this.path = path;
    this.again = reason.again;
  }
}

/** Only what is used; the server's own words are shown to nobody. */
const batchAnswer = z.object({
  transfer: z.string().nullish(),
  objects: z.array(
    z.object({
      oid: z.string(),
      error: z.object({ code: z.number() }).nullish(),
      actions: z
        .object({
          download: z
            .object({ href: z.string(), header: z.record(z.string(), z.string()).nullish() })
            .nullish(),
        })
        .nullish(),
    }),
  ),
});

interface Link {
  href: string;
  header: Record<string, string>;
}

/**
 * Takes content by id from the Git LFS server of a repository's own address, and from nowhere that the
 * repository's files name. What does not have its id and size is not kept.
 * @param store where content is kept by id, as git-lfs lays it out
 * @throws NotDownloaded
 */
export async function downloadLfs(
  location: string,
  wanted: Wanted[],
  store: string,
  signal: AbortSignal,
): Promise<void> {
  const objects = distinct(wanted);
  const limit = AbortSignal.timeout(limitMs);
  const whole = AbortSignal.any([signal, limit]);
  for (let start = 0; start < objects.length; start += mostInOneBatch) {
    const batch = objects.slice(start, start + mostInOneBatch);
    const [first] = batch;
    if (first === undefined) return;
    const tooLong = new LfsFailure(`did not give it within ${limitMs / 60_000} minutes`, true);
    const explain = (path: string, error: unknown) => {
      if (signal.aborted) return signal.reason;
      if (error instanceof NotDownloaded) return error;
      const reason = limit.aborted ? tooLong : error;
      return reason instanceof LfsFailure ? new NotDownloaded(path, reason) : reason;
    };
    try {
      const { links, depth } = await askForLinks(location, batch, whole);
      await inParallel(batch, whole, async (object, during) => {
        try {
          await downloadOne(object, links.get(object.oid), { store, depth }, during);
        } catch (error) {
          // Another's failure ended this one, and is told in its place.
          if (during.aborted && !whole.aborted) return;
          throw explain(object.path, error);
        }
      });
    } catch (error) {
      throw explain(first.path, error);
    }
  }
}

function distinct(wanted: Wanted[]): Sized[] {
  const objects = new Map<string, Sized>();
  let bytes = 0;
  for (const { path, oid, size } of wanted) {
    if (objects.has(oid)) continue;
    if (size === null) throw new NotDownloaded(path, new LfsFailure('cannot be asked for it without a size'));
    bytes += size;
    if (bytes > mostBytes) {
      const most = `${mostBytes / 1024 ** 3} GiB`;
      throw new NotDownloaded(path, new LfsFailure(`is not asked for more than ${most} in all`));
    }
    objects.set(oid, { path, oid, size });
  }
  return [...objects.values()];
}

/** @throws the first failure's error, once all have ended */
async function inParallel<T>(
  items: T[],
  signal: AbortSignal,
  act: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const during = AbortSignal.any([signal, failed.signal]);
  const errors: unknown[] = [];
  const waiting = items.values();
  const work = async () => {
    for (const item of waiting) {
      if (during.aborted) return;
      try {
        await act(item, during);
      } catch (error) {
        errors.push(error);
        failed.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: mostAtOnce }, work));
  if (errors.length > 0) throw errors[0];
  signal.throwIfAborted();
}

async function askForLinks(
  location: string,
  batch: Sized[],
  signal: AbortSignal,
): Promise<{ links: Map<string, Link | LfsFailure>; depth: Depth }> {
  const { response, depth } = await askLfs(
    {
      url: batchAddress(location),
      method: 'POST',
      headers: { accept: mediaType, 'content-type': mediaType },
      body: JSON.stringify({
        operation: 'download',
        transfers: ['basic'],
        objects: batch.map(({ oid, size }) => ({ oid, size })),
      }),
    },
    signal,
  );
  const answer = await readAnswer(response, signal);
  const links = new Map<string, Link | LfsFailure>();
  for (const { oid, error, actions } of answer.objects) {
    const download = actions?.download;
    if (error) links.set(oid, refusal(error.code));
    else if (download) links.set(oid, { href: download.href, header: download.header ?? {} });
  }
  return { links, depth };
}

/** By git-lfs's own rule: the repository's address ends in `.git`. */
export function batchAddress(location: string): URL {
  const url = new URL(location);
  const path = url.pathname.replace(/\/+$/, '');
  return new URL(`${url.origin}${path.endsWith('.git') ? path : `${path}.git`}/info/lfs/objects/batch`);
}

async function readAnswer(response: IncomingMessage, signal: AbortSignal) {
  const chunks: Buffer[] = [];
  let length = 0;
  await read(response, signal, async (chunk) => {
    length += chunk.length;
    if (length > mostAnswerBytes) throw notUnderstood();
    chunks.push(chunk);
  });
  const parsed = batchAnswer.safeParse(parse(Buffer.concat(chunks).toString('utf8')));
  if (!parsed.success || (parsed.data.transfer ?? 'basic') !== 'basic') throw notUnderstood();
  return parsed.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notUnderstood();
  }
}

const notUnderstood = () => new LfsFailure('does not answer as Git LFS does');

/** A server's headers say who asks, never how the connection is to be used. */
function allowed(header: Record<string, string>): Record<string, string> {
  const ours =
    /^(host|connection|content-length|transfer-encoding|te|trailer|upgrade|expect|accept-encoding|range|if-.*|proxy-.*|keep-alive)$/i;
  const entries = Object.entries(header).filter(
    ([name, value]) =>
      /^[\w!#$%&'*+.^`|~-]+$/.test(name) && /^[\t\x20-\x7e]*$/.test(value) && !ours.test(name),
  );
  return Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), value]));
}

function refusal(code: number): LfsFailure {
  if (code === 401 || code === 403) return new LfsFailure(`asks for credentials (${code})`);
  return new LfsFailure(`does not have it (${code})`, code === 429 || code >= 500);
}

/** The content comes into its place whole, or not at all. */
async function downloadOne(
  { oid, size }: Sized,
  link: Link | LfsFailure | undefined,
  { store, depth }: { store: string; depth: Depth },
  signal: AbortSignal,
): Promise<void> {
  if (link === undefined) throw new LfsFailure('does not have it');
  if (link instanceof LfsFailure) throw link;
  const place = join(store, oid.slice(0, 2), oid.slice(2, 4), oid);
  const folder = await makeFolder(dirname(place));
  const { response } = await askLfs(
    {
      url: linkOf(link.href),
      method: 'GET',
      headers: {},
      secret: allowed(link.header),
      deepest: depth,
    },
    signal,
  );
  const fresh = join(folder, `.new-${randomBytes(8).toString('hex')}`);
  try {
    await keep(response, { file: fresh, oid, size }, signal);
    await rename(fresh, place);
  } finally {
    response.destroy();
    await rm(fresh, { force: true });
  }
}

async function keep(
  response: IncomingMessage,
  expected: { file: string; oid: string; size: number },
  signal: AbortSignal,
): Promise<void> {
  const { file, oid, size } = expected;
  const hash = createHash('sha256');
  let length = 0;
  const opened = await open(file, 'wx', 0o644);
  try {
    await read(response, signal, async (chunk) => {
      length += chunk.length;
      if (length > size) throw new LfsFailure(`gave more than the ${size} bytes that it is to have`);
      hash.update(chunk);
      await opened.writeFile(chunk);
    });
    if (length !== size) throw new LfsFailure(`gave ${length} bytes where it is to have ${size}`);
    if (hash.digest('hex') !== oid) throw new LfsFailure('gave other content than its id names');
    await opened.chmod(0o644);
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/** Chunk by chunk, at the taker's own pace. */
async function read(
  response: IncomingMessage,
  signal: AbortSignal,
  take: (chunk: Buffer) => Promise<void>,
): Promise<void> {
  const chunks: AsyncIterator<Buffer> = response[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        signal.throwIfAborted();
        throw connectionFailure(error);
      });
      if (next.done === true) return;
      await take(next.value);
    }
  } finally {
    response.destroy();
  }
}
