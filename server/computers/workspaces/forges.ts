import type { ForgeKind, ForgeSettings } from '../../../contract/forges.ts';
import { AppError } from '../../errors.ts';

/** Where a branch is pushed, and with what. */
export interface PushTarget {
  url: string;
  username: string;
  token: string;
}

const tokenVariables: Record<ForgeKind, string> = {
  github: 'GITHUB_TOKEN',
  gitlab: 'GITLAB_TOKEN',
  gitea: 'GITEA_TOKEN',
};
const usernames: Record<ForgeKind, string> = { github: 'x-access-token', gitlab: 'oauth2', gitea: 'oauth2' };

/**
 * @param remote an address as git takes it
 * @throws AppError `unprocessable` that says which setting is missing: a token goes only where it belongs
 */
export function findPushTarget(remote: string, settings: ForgeSettings): PushTarget {
  const url = toHttps(remote);
  if (url === null)
    throw refused(
      `${remote} is no https:// address of a forge; a change is pushed to GitHub, GitLab or Gitea`,
    );
  const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && !loopback)
    throw refused(`${url.href} is not encrypted, so no token is sent there: give the https:// address`);
  const kind = kindOf(url, settings);
  if (kind === null) {
    throw refused(
      `it is not known what kind of forge ${url.host} is: say so in mission.config.json, as "forges": {"${url.host}": "github"} (or "gitlab", "gitea")`,
    );
  }
  const token = settings.tokens[kind];
  if (token === undefined)
    throw refused(
      `there is no token for ${url.host}: start Mission Control with ${tokenVariables[kind]} set`,
    );
  return { url: url.href, username: usernames[kind], token };
}

/** The https: form of an address of git; null where there is none. */
function toHttps(remote: string): URL | null {
  const short = remote.match(/^[\w.-]+@([\w.-]+):(?!\/)(.+)$/);
  const ssh = remote.match(/^ssh:\/\/(?:[\w.-]+@)?([\w.-]+)(?::\d+)?\/(.+)$/);
  const found = short ?? ssh;
  const text = found ? `https://${found[1]}/${found[2]}` : remote;
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url;
}

function kindOf(url: URL, settings: ForgeSettings): ForgeKind | null {
  const told = settings.hosts[url.host] ?? settings.hosts[url.hostname];
  if (told !== undefined) return told;
  if (url.hostname === 'github.com') return 'github';
  if (url.hostname === 'gitlab.com') return 'gitlab';
  if (url.hostname === 'gitea.com' || url.hostname === 'codeberg.org') return 'gitea';
  return null;
}

function refused(message: string): AppError {
  return new AppError('unprocessable', message);
}
