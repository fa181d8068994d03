import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionFile, connectionFile } from '../contract/system.ts';
import { CommandError, exitStatus } from './exit-status.ts';

export function missionHome(env: NodeJS.ProcessEnv): string {
  return env.MISSION_HOME || join(homedir(), '.mission-control');
}

/**
 * Where the server is and the key to it; null where no server has written it.
 * @throws CommandError where the file is there but cannot be used
 */
export async function readConnection(home: string): Promise<ConnectionFile | null> {
  const file = join(home, 'cli.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error) {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      if (error.code === 'EACCES') {
        throw new CommandError(
          exitStatus.refused,
          `${file} belongs to another user; you cannot use this server.`,
        );
      }
    }
    throw error;
  }
  const parsed = connectionFile.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new CommandError(exitStatus.unreachable, `${file} is damaged; restart the server with: mission up`);
}

export function notRunning(home: string): CommandError {
  return new CommandError(
    exitStatus.unreachable,
    `Mission Control is not running (${join(home, 'cli.json')} names no server). Start it with: mission up`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
