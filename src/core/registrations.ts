/**
 * Services and refers that programs register while the agent runs (spec agent 7.3), as the management API sees them. Made by
 * `control/registration`.
 */
import type { MeshUrl } from './url.js';

export type RegistrationKind = 'service' | 'refer';

/** What ends a registration by itself. */
export type LeaseWish =
  | { readonly kind: 'none' }
  /** It ends unless renewed within so many seconds. */
  | { readonly kind: 'ttl'; readonly seconds: number }
  /** It ends with the process of this machine that has this pid now. */
  | { readonly kind: 'process'; readonly pid: number }
  /** It ends with the connection on which it was asked for. */
  | { readonly kind: 'connection'; readonly connection: HeldConnection };

export interface HeldConnection {
  readonly isClosed: boolean;
  /** Called once; at once when it is closed already. */
  onClosed(listener: () => void): void;
}

export interface LeaseReport {
  readonly kind: LeaseWish['kind'];
  /** Only of a `ttl`. */
  readonly seconds: number | null;
  readonly endsInMs: number | null;
  /** Only of a process. */
  readonly pid: number | null;
}

export interface Registration {
  /** Stable: the same service, group and registry have the same id again. */
  readonly id: string;
  readonly kind: RegistrationKind;
  /** A service as it is announced, a refer as it is used; `registry` holds the ids. */
  readonly url: MeshUrl;
  readonly registryIds: readonly string[];
  /** Ids of the refers that it made; empty for a service, and for a refer that the configuration has as well. */
  readonly referIds: readonly string[];
  readonly lease: LeaseReport;
  readonly registeredAtMs: number;
}

/** Methods reject with AgentError: see `REGISTRATION_STATUS`. Then nothing has changed. */
export interface Registrations {
  list(): readonly Registration[];
  /**
   * Registers a service or subscribes a refer, and resolves when calls can come or go. The same one again replaces a service,
   * renews a refer.
   * @param posted the url in JSON form (spec agent 3.2), parsed
   */
  add(kind: RegistrationKind, posted: unknown, lease: LeaseWish | null): Promise<readonly Registration[]>;
  /** Ends what `posted` names; resolves with what was ended. */
  remove(kind: RegistrationKind, posted: unknown): Promise<readonly Registration[]>;
  removeById(id: string): Promise<Registration | null>;
  /** Renews; with `lease` null it is renewed as it is. Null when there is no such registration. */
  renew(id: string, lease: LeaseWish | null): Promise<Registration | null>;
  /** Resolves with true when every registry that these name has what it should have. */
  settled(registrations: readonly Registration[], withinMs: number): Promise<boolean>;
}

/** HTTP status of each AgentError that a registration can fail with. */
export const REGISTRATION_STATUS: Readonly<Record<string, number>> = {
  /** The url makes no sense. */
  E_URL: 400,
  E_REGISTRATION: 400,
  E_REGISTRY_NOT_FOUND: 400,
  /** It cannot be offered or used. */
  E_ENTRY: 500,
  E_PORT_BUSY: 500,
  E_LISTEN: 500,
  E_SERVICE_TAKEN: 500,
  /** A bound is reached, or the agent stops. */
  E_REGISTRATIONS_FULL: 503,
  E_STOPPING: 503,
};
