import { developerPrompt } from '../agent/developer.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { registerAgent } from '../domain/principals/principals.ts';
import { developerPolicy } from '../tools/policy/developer-policy.ts';

export const developer = 'developer';

export async function registerDeveloper(database: Database, config: Config): Promise<void> {
  await registerAgent(database, {
    name: developer,
    role: 'developer',
    prompt: developerPrompt,
    model: config.agentModel,
    fallbackModels: config.fallbackModels,
    playbook: 'coder',
    policy: developerPolicy,
  });
}
