import { isPrivateName, judgeAddress, readHost } from '../../addresses.ts';
import { AppError } from '../../errors.ts';

/** Which hosts webhooks are sent to: public ones, and those that the server's administrator named. */
export class WebhookHosts {
  readonly #named: ReadonlySet<string>;

  /** @param named `privateHosts` of the settings */
  constructor(named: readonly string[]) {
    this.#named = new Set(named.map((host) => host.toLowerCase()));
  }

  isNamed(hostname: string): boolean {
    return this.#named.has(hostname.replace(/^\[|\]$/g, '').toLowerCase());
  }

  /** Why nothing is sent to this host, as far as its name tells; null where it may be. */
  judge(hostname: string): string | null {
    if (this.isNamed(hostname)) return null;
    const host = readHost(hostname);
    if (host.kind === 'refused') return host.reason;
    if (host.kind === 'address') return judgeAddress(host.address);
    return isPrivateName(host.name) ? 'the name of a private network' : null;
  }

  /** Why nothing is sent to what the name resolved to; null where it may be. */
  judgeResolved(hostname: string, addresses: readonly string[]): string | null {
    if (this.isNamed(hostname)) return null;
    return addresses.map(judgeAddress).find((reason) => reason !== null) ?? null;
  }

  /** @throws AppError unprocessable */
  require(url: string): void {
    const { protocol, hostname, username, password } = new URL(url);
    if (username !== '' || password !== '') {
      throw new AppError('unprocessable', 'the address must hold no user or password; deliveries are signed');
    }
    const reason = this.judge(hostname);
    if (reason !== null) {
      throw new AppError(
        'unprocessable',
        `webhooks are not sent to ${hostname}: ${reason}. Name it under "webhooks": {"privateHosts": […]} in mission.config.json if it is yours.`,
      );
    }
    if (protocol !== 'https:' && !this.isNamed(hostname)) {
      throw new AppError(
        'unprocessable',
        'the address must be https://: what is sent is not for others to read',
      );
    }
  }
}
