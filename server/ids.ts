import { randomBytes } from 'node:crypto';
import { formatId, type Id, type IdPrefix } from '../contract/ids.ts';

export function newId<P extends IdPrefix>(prefix: P): Id<P> {
  return formatId(prefix, Date.now(), randomBytes(8));
}
