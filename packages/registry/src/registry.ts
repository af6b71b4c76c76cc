import type { Clock, Disposable, Logger } from "@tulle/base";
import type { RegistryCatalog } from "./catalog.js";
import type { Probe } from "./checks/probe.js";
import type { CheckDefinition, CheckStatus, NodeDefinition, ServiceDefinition } from "./definition.js";
import { LocalRegistry } from "./local-registry.js";
import type { RegistryPersistence } from "./persistence.js";

export interface RegistryOptions {
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly persistence: RegistryPersistence;
  /** The node that registrations through the agent API belong to; default `tulle` at 127.0.0.1. */
  readonly node?: { readonly name: string; readonly address: string };
  /** Default `dc1`. */
  readonly datacenter?: string;
  /** Whether this process runs the checks; default true. */
  /** Share of a service that must be heard of; with fewer, silent instances are kept. Default 0.2; 0 = off. */
  readonly protectThreshold?: number;
  readonly checksEnabled?: boolean;
  /** How HTTP and TCP checks ask; default over the network. */
  readonly probe?: Probe;
  /** Checks under way at once; default 256. */
  readonly maxConcurrentChecks?: number;
  /** Shorter intervals are raised to this, milliseconds; default 1000. */
  readonly minCheckIntervalMs?: number;
  /** Registrations beyond it are refused; default 100,000. */
  readonly maxServices?: number;
  /** Blocking queries that may wait at once; default 10,000. */
  readonly maxWaiters?: number;
}

/** A node with what else a catalog registration brings. */
export interface NodeRegistration {
  readonly node: NodeDefinition;
  readonly service?: ServiceDefinition;
  /** Checks whose status somebody else finds out. */
  readonly checks?: readonly { readonly definition: CheckDefinition; readonly output: string }[];
}

/**
 * Services, their instances and their health.
 *
 * Every change is stored before it is seen and acknowledged; check results are seen at once and stored soon after.
 * Errors (MeshError): `invalid` REGISTRY_INVALID with all violations, REGISTRY_CHECK_ID_TAKEN; `not-found` REGISTRY_UNKNOWN_SERVICE,
 * REGISTRY_UNKNOWN_CHECK; `unavailable` REGISTRY_STORE; `exhausted` REGISTRY_BUSY, REGISTRY_FULL.
 */
export interface Registry extends Disposable {
  readonly catalog: RegistryCatalog;
  readonly datacenter: string;
  /** Name of the own node. */
  readonly nodeName: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Loads what is stored and starts the checks; to be awaited before anything else is called. */
  start(): Promise<void>;
  /** Adds a service or replaces the one with its id. Checks that it had and that are not given again stay, unless `replaceChecks`. */
  registerService(
    service: ServiceDefinition,
    checks: readonly CheckDefinition[],
    options?: { readonly replaceChecks?: boolean },
  ): Promise<void>;
  deregisterService(namespace: string, id: string): Promise<void>;
  /** Adds a check to a registered service (`serviceId`) or to the own node, or replaces the one with its id. */
  registerCheck(check: CheckDefinition): Promise<void>;
  deregisterCheck(namespace: string, checkId: string): Promise<void>;
  /** What the application says of itself, and a sign of life. `conflict` REGISTRY_NOT_TTL for checks of other types. */
  updateTtlCheck(namespace: string, checkId: string, status: CheckStatus, output: string): void;
  setServiceMaintenance(namespace: string, id: string, enabled: boolean, reason: string): Promise<void>;
  setNodeMaintenance(enabled: boolean, reason: string): Promise<void>;
  /** Registers for another node. */
  registerNode(registration: NodeRegistration): Promise<void>;
  /** Removes a service, a check, or without either the node and all that it has. What is not there is no error. */
  deregisterNode(
    node: string,
    part?: { readonly namespace: string; readonly serviceId?: string; readonly checkId?: string },
  ): Promise<void>;
  /** Resolves when everything that changed by now is stored. */
  stored(): Promise<void>;
}

/** Creates a registry; call `start()` before use. */
export function createRegistry(options: RegistryOptions): Registry {
  return new LocalRegistry(options);
}
