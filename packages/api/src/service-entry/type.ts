import type { WorkloadEntrySpec } from "../workload-entry/type.js";

/** A service that no registry knows: outside the mesh, or inside it on workloads listed here. */
export interface ServiceEntrySpec {
  /** Full names or `*.suffix`; at least one. */
  readonly hosts: readonly string[];
  /** Virtual IP addresses or CIDR blocks. */
  readonly addresses?: readonly string[];
  readonly ports?: readonly ServiceEntryPort[];
  /** Default MESH_EXTERNAL. */
  readonly location?: "MESH_EXTERNAL" | "MESH_INTERNAL";
  /** How addresses are found; default NONE: where the client connected to. */
  readonly resolution?: "NONE" | "STATIC" | "DNS" | "DNS_ROUND_ROBIN" | "DYNAMIC_DNS";
  /** Not together with `workloadSelector`. */
  readonly endpoints?: readonly WorkloadEntrySpec[];
  readonly workloadSelector?: { readonly labels?: Readonly<Record<string, string>> };
  /** Namespaces that see this service: `.`, `*` (default) or names. */
  readonly exportTo?: readonly string[];
  readonly subjectAltNames?: readonly string[];
}

export interface ServiceEntryPort {
  readonly number: number;
  /** Upper-case: HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, MYSQL, REDIS, TCP, TLS, UDP. Default TCP. */
  readonly protocol?: string;
  readonly name: string;
  /** Port of the endpoints; default `number`. */
  readonly targetPort?: number;
}
