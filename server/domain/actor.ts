/** Who does something, as every use case takes it. */
export interface Actor {
  id: string;
  name: string;
  role: 'admin' | 'operator' | 'viewer' | 'agent';
}
