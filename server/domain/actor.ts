/** Who does something, as every use case takes it. */
export interface Actor {
  id: string;
  name: string;
  role: 'admin' | 'operator' | 'viewer' | 'agent';
}

/** The control plane itself, where no principal acts. */
export const controlPlane: Actor = { id: 'control-plane', name: 'control-plane', role: 'admin' };
