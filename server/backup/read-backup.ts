import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { AppError, messageOf } from '../errors.ts';
import { type BackupHeader, type BackupLine, backupFormat, backupLine } from './format.ts';

/**
 * The lines of a backup, in their order.
 * @throws AppError unprocessable where it is damaged, no backup, or of a newer format
 */
export async function* readBackup(file: string): AsyncGenerator<BackupLine> {
  const hash = createHash('sha256');
  let ended = false;
  let rest = '';
  const read = (line: string): BackupLine => {
    if (ended) throw damaged(file, 'there is more after its end');
    const parsed = parse(line);
    if (parsed === undefined) throw damaged(file, 'a line cannot be read');
    if ('end' in parsed) {
      if (parsed.sha256 !== hash.digest('hex')) throw damaged(file, 'its checksum is another');
      ended = true;
    } else {
      hash.update(`${line}\n`);
    }
    return parsed;
  };
  try {
    for await (const text of unpack(file)) {
      const lines = `${rest}${text}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield read(line);
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT') throw new AppError('not_found', `there is no file ${file}`);
    if (error instanceof AppError || !code.startsWith('Z_')) throw error;
    throw damaged(file, messageOf(error));
  }
  if (!ended || rest !== '') throw damaged(file, 'its end is missing');
}

/** Reads all of it and changes nothing. @throws AppError as `readBackup` does */
export async function checkBackup(file: string): Promise<BackupHeader> {
  let header: BackupHeader | undefined;
  let content: { name: string; hash: ReturnType<typeof createHash> } | undefined;
  const finishContent = () => {
    if (content !== undefined && content.hash.digest('hex') !== content.name)
      throw damaged(file, `the content ${content.name.slice(0, 12)} is another`);
    content = undefined;
  };
  for await (const line of readBackup(file)) {
    if (header === undefined) {
      if (!('backup' in line)) throw damaged(file, 'it does not begin as a backup does');
      if (line.backup > backupFormat) throw newer(file);
      header = line;
    } else if ('bytes' in line) {
      if (content === undefined) throw damaged(file, 'bytes stand where none belong');
      content.hash.update(Buffer.from(line.bytes, 'base64'));
    } else {
      finishContent();
      if ('file' in line) content = { name: line.file, hash: createHash('sha256') };
    }
  }
  if (header === undefined) throw damaged(file, 'it is empty');
  return header;
}

async function* unpack(file: string): AsyncGenerator<string> {
  const gunzip = createGunzip();
  const source = createReadStream(file);
  source.on('error', (error) => gunzip.destroy(error));
  try {
    for await (const text of source.pipe(gunzip).setEncoding('utf8')) yield text;
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

function parse(line: string): BackupLine | undefined {
  try {
    return backupLine.safeParse(JSON.parse(line)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function damaged(file: string, how: string): AppError {
  return new AppError(
    'unprocessable',
    `${file} is damaged or no backup (${how}); nothing was changed: take another backup`,
  );
}

export function newer(file: string): AppError {
  return new AppError(
    'newer_database',
    `${file} was made by a newer Mission Control; nothing was changed: restore it with that version`,
  );
}
