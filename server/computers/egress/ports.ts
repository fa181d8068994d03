import type { EgressDecision, EgressRule } from '../../../contract/egress.ts';
import type { SecretIndex } from './secret-index.ts';

/** A credential that the proxy adds for one host; its secret is fetched at each use. */
export interface BrokeredHost {
  name: string;
  host: string;
  port: number;
  /** Whether it may go over plain HTTP. */
  insecure: boolean;
  /** `read` lets GET, HEAD and OPTIONS pass alone. */
  scope: 'read' | 'write';
}

/** What holds for a sandbox at this moment. */
export interface EgressPolicy {
  /** Why nothing may leave at all, such as a lost lease. */
  refusal: string | null;
  rules: readonly EgressRule[];
  brokered: readonly BrokeredHost[];
}

/** A header as it is added, and what must not come back in an answer. */
export interface FilledHeader {
  name: string;
  value: string;
  secrets: readonly string[];
}

export interface EgressEntry {
  host: string;
  port: number;
  method: string;
  /** Without its query; empty where it could not be shown. */
  path: string;
  decision: EgressDecision;
  reason: string | null;
  /** The secret that was kept from leaving, by name. */
  secret: string | null;
  credential: string | null;
  /** Whether it may be in a private network. */
  private: boolean;
  status: number | null;
  sentBytes: number;
  receivedBytes: number;
}

export interface Leaving {
  host: string;
  port: number;
  method: string;
  path: string;
}

/** What a proxy asks of the rest of the house. */
export interface EgressPorts {
  /** Asked for every request. */
  policy(): Promise<EgressPolicy>;
  /** At the moment of its use: the lease and the grant are looked at again. null where they no longer hold. */
  fill(credential: string): Promise<FilledHeader | null>;
  secrets(): Promise<SecretIndex>;
  /** Told of every request when it is over; must not throw. */
  record(entry: EgressEntry): void;
  /** Beyond the allow-list: why this may not leave now, null where it may. */
  mayLeave?(leaving: Leaving): Promise<string | null>;
}
