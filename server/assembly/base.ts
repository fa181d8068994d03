import type { Logger } from '../log.ts';

export interface Base {
  log: Logger;
  started: AsyncDisposableStack;
}
