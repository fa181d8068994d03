import { z } from 'zod';
import { AppError } from '../errors.ts';

/** How requests of ours leave for the world. */
export interface ProxySettings {
  httpProxy?: string;
  httpsProxy?: string;
  noProxy?: string;
}

/** The variables that other programs read too, in either case. */
export function readProxy(set: Record<string, string | undefined>): ProxySettings {
  const find = (name: string) => set[name.toLowerCase()] ?? set[name];
  const all = find('ALL_PROXY');
  const httpProxy = find('HTTP_PROXY') ?? all;
  const httpsProxy = find('HTTPS_PROXY') ?? all;
  const noProxy = find('NO_PROXY');
  for (const url of [httpProxy, httpsProxy]) {
    if (url !== undefined && !z.url({ protocol: /^https?$/ }).safeParse(url).success) {
      throw new AppError(
        'invalid_request',
        'HTTP_PROXY and HTTPS_PROXY must be addresses such as http://proxy:3128',
      );
    }
  }
  return {
    ...(httpProxy !== undefined && { httpProxy }),
    ...(httpsProxy !== undefined && { httpsProxy }),
    ...(noProxy !== undefined && { noProxy }),
  };
}
