import { MeshError } from "@tulle/base";
import { isObject } from "./three-way-merge.js";
import type { Transport } from "./transport.js";

/** A health check, in Consul's words. Exactly one of HTTP, TCP and TTL. */
export interface CheckDefinition {
  readonly CheckID?: string;
  readonly Name?: string;
  readonly HTTP?: string;
  readonly Method?: string;
  readonly Header?: Readonly<Record<string, readonly string[]>>;
  readonly TCP?: string;
  readonly TTL?: string;
  readonly Interval?: string;
  readonly Timeout?: string;
  readonly Status?: "passing" | "warning" | "critical";
  readonly SuccessBeforePassing?: number;
  readonly FailuresBeforeCritical?: number;
  readonly DeregisterCriticalServiceAfter?: string;
}

/** A service instance, in Consul's words. */
export interface ServiceRegistration {
  /** Default: `Name`. */
  readonly ID?: string;
  readonly Name: string;
  readonly Namespace?: string;
  readonly Tags?: readonly string[];
  readonly Meta?: Readonly<Record<string, string>>;
  /** Default: the node's. */
  readonly Address?: string;
  readonly Port?: number;
  readonly TaggedAddresses?: Readonly<Record<string, { readonly Address: string; readonly Port: number }>>;
  readonly Weights?: { readonly Passing: number; readonly Warning: number };
  readonly Check?: CheckDefinition;
  readonly Checks?: readonly CheckDefinition[];
}

export interface ServiceSummary {
  readonly name: string;
  readonly tags: readonly string[];
}

/** One instance with its checks, as `/v1/health/service` answers. */
export interface ServiceHealth {
  readonly Node: { readonly Node: string; readonly Address: string };
  readonly Service: {
    readonly ID: string;
    readonly Service: string;
    readonly Tags: readonly string[] | null;
    readonly Meta: Readonly<Record<string, string>> | null;
    readonly Address: string;
    readonly Port: number;
    readonly TaggedAddresses?: Readonly<
      Record<string, { readonly Address: string; readonly Port: number }>
    > | null;
    readonly Weights?: { readonly Passing: number; readonly Warning: number };
    readonly Namespace?: string;
  };
  readonly Checks: readonly {
    readonly CheckID: string;
    readonly Name: string;
    readonly Status: string;
    readonly Output: string;
  }[];
}

export interface InNamespace {
  /** Default `default`. */
  readonly namespace?: string;
}

/** The registry, through Consul's API. */
export class RegistrationClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Registers an instance; one of the same ID is replaced. */
  async register(service: ServiceRegistration): Promise<void> {
    await this.#put("/v1/agent/service/register", { ns: service.Namespace }, service);
  }

  /** `not-found` when no such instance is registered. */
  async deregister(id: string, options: InNamespace = {}): Promise<void> {
    await this.#put(`/v1/agent/service/deregister/${encodeURIComponent(id)}`, { ns: options.namespace });
  }

  /** Takes an instance out of traffic, or puts it back. */
  async maintenance(
    id: string,
    enable: boolean,
    options: InNamespace & { readonly reason?: string } = {},
  ): Promise<void> {
    const query = { enable: String(enable), reason: options.reason, ns: options.namespace };
    await this.#put(`/v1/agent/service/maintenance/${encodeURIComponent(id)}`, query);
  }

  /** Reports a TTL check's state: its heartbeat. */
  async updateCheck(
    id: string,
    status: "passing" | "warning" | "critical",
    options: InNamespace & { readonly output?: string } = {},
  ): Promise<void> {
    const body = { Status: status, Output: options.output ?? "" };
    await this.#put(`/v1/agent/check/update/${encodeURIComponent(id)}`, { ns: options.namespace }, body);
  }

  /** All registered services of a namespace, by name. */
  async services(options: InNamespace = {}): Promise<readonly ServiceSummary[]> {
    const query = { ns: options.namespace };
    const { body } = await this.#transport.call({ method: "GET", path: "/v1/catalog/services", query });
    if (!isObject(body)) throw unexpected();
    return Object.entries(body)
      .map(([name, tags]) => ({ name, tags: Array.isArray(tags) ? tags.map(String) : [] }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Instances of a service with their checks; with `passing` only those that take traffic. */
  async health(
    name: string,
    options: InNamespace & { readonly passing?: boolean } = {},
  ): Promise<readonly ServiceHealth[]> {
    const { body } = await this.#transport.call({
      method: "GET",
      path: `/v1/health/service/${encodeURIComponent(name)}`,
      query: { ns: options.namespace, passing: options.passing === true ? "true" : undefined },
    });
    if (!Array.isArray(body)) throw unexpected();
    return body as readonly ServiceHealth[];
  }

  async #put(
    path: string,
    query: Readonly<Record<string, string | undefined>>,
    body?: unknown,
  ): Promise<void> {
    await this.#transport.call({ method: "PUT", path, query, ...(body === undefined ? {} : { body }) });
  }
}

function unexpected(): MeshError {
  const message = "the answer is not one of a Tulle control plane; check the server's address";
  return new MeshError("internal", "CLIENT_UNEXPECTED_ANSWER", message, { source: "control" });
}
