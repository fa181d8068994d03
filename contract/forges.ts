export const forgeKinds = ['github', 'gitlab', 'gitea'] as const;
export type ForgeKind = (typeof forgeKinds)[number];

export interface ForgeSettings {
  /** What kind of forge a host is, where its name does not tell. */
  hosts: Record<string, ForgeKind>;
  /** From the environment; sent to hosts of that kind alone. */
  tokens: Partial<Record<ForgeKind, string>>;
}
