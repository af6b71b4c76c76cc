import type { AppProtocol, Locality } from "@tulle/api";
import type { Dialect } from "./contract.js";

/** A port that callers may name. */
export interface MeshPort {
  readonly number: number;
  readonly name: string;
  readonly protocol: AppProtocol;
}

/** How a service's endpoints are found; the names are Envoy's cluster types. */
export type Discovery = "EDS" | "STRICT_DNS" | "LOGICAL_DNS" | "ORIGINAL_DST";

/** One place where a service can be called, wherever it came from. */
export interface MeshEndpoint {
  /** Orders endpoints; unique within the service. */
  readonly id: string;
  /** IP address, DNS name, or `/absolute/path` of a Unix socket. */
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Where it takes mutual TLS; undefined outside the mesh. */
  readonly mesh: { readonly address: string; readonly port: number } | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly weight: number;
  readonly locality: Locality | undefined;
  readonly service: string;
  readonly namespace: string;
}

/** The shape of a service: everything but its endpoints' addresses and health. */
export interface MeshService {
  /** As cluster names have it: full host, or the ServiceEntry's (maybe `*.suffix`). */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
  readonly ports: readonly MeshPort[];
  /** Any port that a caller names means `ports[0]`. */
  readonly portless: boolean;
  readonly discovery: Discovery;
  /** SPIFFE ids that its endpoints may present, sorted. */
  readonly identities: readonly string[];
  readonly meshed: "all" | "some" | "none";
  /** Endpoints that serve `port` and may get traffic, ordered by id. Reading them is recorded. */
  endpoints(port: MeshPort): readonly MeshEndpoint[];
}

/** The port that a caller means who wrote `number`; undefined when the service has none such. */
export function portNamed(service: MeshService, number: number): MeshPort | undefined {
  const declared = service.ports.find((port) => port.number === number);
  if (declared !== undefined) return declared;
  return service.portless ? service.ports[0] : undefined;
}

/**
 * The port that a caller means who wrote none: 80 where the service has it (what HTTP means by no port), else the
 * first port that carries HTTP, else the first.
 */
export function defaultPort(service: MeshService): MeshPort | undefined {
  return (
    service.ports.find((port) => port.number === 80) ??
    service.ports.find((port) => isHttp(port.protocol)) ??
    service.ports[0]
  );
}

/** Whether a protocol is carried by the HTTP machinery. */
export function isHttp(protocol: AppProtocol): boolean {
  return protocol === "http" || protocol === "http2" || protocol === "grpc";
}

/** Whether a protocol needs HTTP/2 on every hop. */
export function needsHttp2(protocol: AppProtocol): boolean {
  return protocol === "http2" || protocol === "grpc";
}

/** Whether a client's proxy carries a port's bytes as they are. Clients of other dialects speak HTTP only. */
export function carriesBytes(
  { view }: { readonly view: { readonly dialect: Dialect } },
  port: Pick<MeshPort, "protocol">,
): boolean {
  return view.dialect === "tulle" && !isHttp(port.protocol);
}
