import type { AppProtocol, Locality } from "@tulle/api";
import type { Dialect } from "./contract.js";
import type { SessionRequest } from "./routes/session.js";

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
  /** `draining`: taken out on purpose, for sessions that are bound to it only. */
  readonly health: "healthy" | "unhealthy" | "draining";
  /** One of its checks warns. Absent: none does. */
  readonly warning?: boolean;
  /** Consul's. Absent: none. */
  readonly tags?: readonly string[];
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
  /** Names that certificates of its servers have outside the mesh; undefined or empty = nobody says. */
  readonly subjectAltNames?: readonly string[] | undefined;
  readonly meshed: "all" | "some" | "none";
  /** Addresses that callers reach it under: its own, else its virtual IP. Reading them is recorded. */
  addresses(): readonly string[];
  /** How its clients stay with the instance that they have; undefined = they do not. */
  readonly session: SessionRequest | undefined;
  /** What its object or its instances say of it by annotations; undefined = nothing. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** Endpoints that serve `port`, whatever their health, ordered by id. Reading them is recorded. */
  endpoints(port: MeshPort): readonly MeshEndpoint[];
}

/** The port that a caller means who wrote `number`; undefined when the service has none such. */
export function portNamed(
  service: Pick<MeshService, "ports" | "portless">,
  number: number,
): MeshPort | undefined {
  const declared = service.ports.find((port) => port.number === number);
  if (declared !== undefined) return declared;
  return service.portless ? service.ports[0] : undefined;
}

/**
 * The port that a caller means who wrote none: 80 where the service has it (what HTTP means by no port), else the
 * first port that carries HTTP or may, else the first.
 */
export function defaultPort(service: MeshService): MeshPort | undefined {
  return (
    service.ports.find((port) => port.number === 80) ??
    service.ports.find(({ protocol }) => isHttp(protocol) || protocol === "auto") ??
    service.ports[0]
  );
}

/** Whether a protocol is carried by the HTTP machinery. */
export function isHttp(protocol: AppProtocol): boolean {
  return protocol === "http" || isHttp2(protocol);
}

/** The version of HTTP that a server speaks in plaintext; `client`: the one that the client speaks to it. */
export type HttpVersion = "http1" | "http2" | "client";

/** The version of HTTP that a protocol needs on every hop. */
export function httpVersionOf(protocol: AppProtocol): HttpVersion {
  if (protocol === "auto") return "client";
  return isHttp2(protocol) ? "http2" : "http1";
}

function isHttp2(protocol: AppProtocol): boolean {
  return protocol === "http2" || protocol === "grpc" || protocol === "grpc-web";
}

/** How a client's proxy carries a port: as HTTP, as bytes, or as what the first bytes of each connection say. */
export type Carriage = "http" | "bytes" | "detected";

/** How a client's proxy carries a port. Clients of other dialects speak HTTP only. */
export function carriageOf(
  { view }: { readonly view: { readonly dialect: Dialect } },
  { protocol }: Pick<MeshPort, "protocol">,
): Carriage {
  if (view.dialect !== "tulle" || isHttp(protocol)) return "http";
  return protocol === "auto" ? "detected" : "bytes";
}
