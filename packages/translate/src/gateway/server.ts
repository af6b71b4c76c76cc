import type { MeshObject, ServerTlsSettings } from "@tulle/api";
import type { ListenerOf } from "../gateway-api/listener-routes.js";

/** What a gateway's port carries, as far as connections can be told apart by it. */
export type ServerKind =
  /** Plaintext HTTP, told apart by Host. */
  | "http"
  /** HTTP in TLS that ends at the gateway, told apart by server name. */
  | "https"
  /** TLS that passes as it is, told apart by server name. */
  | "passthrough"
  /** The mesh's own TLS, which passes as it is to the service that its server name names. */
  | "auto"
  /** TLS that ends at the gateway and carries bytes, told apart by server name. */
  | "tls"
  /** Bytes: the port has one server. */
  | "tcp";

/** A host of a server, with the namespace that its routes must be of. */
export interface ServedHost {
  /** Undefined = any. */
  readonly namespace: string | undefined;
  /** Lower-case: a full name, `*.suffix` or `*`. */
  readonly host: string;
}

/** Authorities of clients' certificates, in PEM. */
export interface ClientRoots {
  /** Without a certificate that holds nobody is let in. */
  readonly required: boolean;
  readonly pem: string;
  readonly crl: string | undefined;
}

/** A server of a Gateway that this client opens, whatever kind of object it came from. */
export interface Server {
  readonly owner: MeshObject;
  /** `spec.servers[0]` */
  readonly field: string;
  readonly kind: ServerKind;
  readonly port: number;
  /** Undefined = every address. */
  readonly bind: string | undefined;
  readonly hosts: readonly ServedHost[];
  /** Name of its route table. */
  readonly routes: string;
  /** Every request is answered with a redirect to HTTPS. */
  readonly redirects: boolean;
  /** Clients may be browsers that speak gRPC-Web. */
  readonly grpcWeb?: boolean;
  /** Set where TLS ends at the gateway. */
  readonly tls: ServerTlsSettings | undefined;
  /** Secrets with its certificates, besides those that `tls` names. */
  readonly credentials?: readonly { readonly name: string; readonly namespace: string }[];
  /** Whose certificates clients show, where they are asked for other than by `tls`. */
  readonly clients?: ClientRoots | undefined;
  /** Set where it is a listener of Gateway API, whose routes are attached to it. */
  readonly listener?: ListenerOf;
}

/** `namespace/name`, as VirtualServices name Gateways. */
export function gatewayName({ owner: { metadata } }: Pick<Server, "owner">): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** For messages: `Gateway shop/web spec.servers[0]`. */
export function placeOfServer({ owner, field }: Pick<Server, "owner" | "field">): string {
  return `${owner.kind} ${owner.metadata.namespace}/${owner.metadata.name} ${field}`;
}

/** Server names that choose a server; empty = any. */
export function serverNamesOf({ hosts }: Pick<Server, "hosts">): readonly string[] {
  const names = [...new Set(hosts.map(({ host }) => host))];
  return names.includes("*") ? [] : names;
}

/**
 * What two hosts (names or wildcards) have in common: the narrower one where it lies within the other; undefined when
 * nothing does.
 */
export function commonHost(a: string, b: string): string | undefined {
  if (covers(a, b)) return b;
  return covers(b, a) ? a : undefined;
}

function covers(pattern: string, host: string): boolean {
  if (pattern === "*" || pattern === host) return true;
  return pattern.startsWith("*.") && host.endsWith(pattern.slice(1)) && host.length >= pattern.length;
}
