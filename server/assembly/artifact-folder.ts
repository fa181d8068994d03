import { join } from 'node:path';
import type { Config } from '../config.ts';

export const artifactFolder = (config: Config) => join(config.home, 'artifacts');
