/**
 * What somebody may do. A route names one permission; a role is a set of them, and a key may hold fewer.
 * Reading is one permission for each kind of thing that holds something private.
 */
export const permissions = [
  'agents:act',
  'agents:manage',
  'agents:read',
  'artifacts:read',
  'artifacts:write',
  'asks:decide',
  'asks:read',
  'audit:read',
  'budgets:manage',
  'budgets:read',
  'changes:decide',
  'changes:read',
  'credentials:manage',
  'credentials:read',
  'events:read',
  'hooks:manage',
  'keys:own',
  'metrics:read',
  'policy:manage',
  'policy:read',
  'principals:manage',
  'projects:manage',
  'projects:read',
  'runs:control',
  'runs:read',
  'session:own',
  'system:manage',
  'system:read',
  'tasks:claim',
  'tasks:read',
  'tasks:write',
  'webhooks:manage',
] as const;
export type Permission = (typeof permissions)[number];

export const roles = ['admin', 'operator', 'viewer', 'agent'] as const;
export type Role = (typeof roles)[number];

const viewer: readonly Permission[] = [
  'agents:read',
  'artifacts:read',
  'asks:read',
  'budgets:read',
  'changes:read',
  'events:read',
  'keys:own',
  'policy:read',
  'projects:read',
  'runs:read',
  'session:own',
  'system:read',
  'tasks:read',
];

const operator: readonly Permission[] = [
  ...viewer,
  'agents:act',
  'artifacts:write',
  'asks:decide',
  'changes:decide',
  'credentials:read',
  'hooks:manage',
  'metrics:read',
  'runs:control',
  'tasks:claim',
  'tasks:write',
];

/** A foreign agent: it takes work, tells of it, and changes nothing about itself. */
const agent: readonly Permission[] = [
  'agents:act',
  'agents:read',
  'artifacts:read',
  'artifacts:write',
  'events:read',
  'keys:own',
  'projects:read',
  'runs:read',
  'tasks:claim',
  'tasks:read',
];

export const rolePermissions: Readonly<Record<Role, readonly Permission[]>> = {
  admin: permissions,
  operator,
  viewer,
  agent,
};

/** What reaches into every project: who sees only some projects does not have it, whatever their role. */
const wholeServer: readonly Permission[] = [
  'agents:manage',
  'audit:read',
  'budgets:manage',
  'credentials:manage',
  'metrics:read',
  'policy:manage',
  'system:manage',
];

/** @param projects null where somebody sees all of them */
export function permissionsOf(role: Role, projects: readonly string[] | null): readonly Permission[] {
  const all = rolePermissions[role];
  return projects === null ? all : all.filter((permission) => !wholeServer.includes(permission));
}
