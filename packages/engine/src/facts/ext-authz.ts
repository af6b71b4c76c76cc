import type { HeaderList } from "@tulle/http";
import type { JsonObject } from "@bufbuild/protobuf";
import type { HeaderMutation } from "../contract.js";
import type { StringTest } from "../route/string-test.js";
import type { Way } from "../route/way.js";
import type { NeedBase } from "./contract.js";

/** Asks an authorization service whether a request may pass (Envoy's ext_authz). */
export interface ExtAuthzNeed extends NeedBase {
  readonly kind: "ext-authz";
  readonly service: GrpcAuthorizer | HttpAuthorizer;
  readonly timeoutMs: number;
  /** Which of the request's fields the service is told; undefined = all. */
  readonly tells: StringTest | undefined;
  /** Fields that it is not told, whatever `tells` says. */
  readonly hides: StringTest | undefined;
  /** The body goes as bytes, not as text. */
  readonly packAsBytes: boolean;
  /** What the route says to the service. */
  readonly contextExtensions: Readonly<Record<string, string>>;
  /** Namespaces of the request's metadata that it is told. */
  readonly metadataNamespaces: readonly string[];
  /** Whether it is told the client's certificate. */
  readonly tellsCertificate: boolean;
}

/** `envoy.service.auth.v3.Authorization/Check`. */
export interface GrpcAuthorizer {
  readonly protocol: "grpc";
  readonly way: Way;
  readonly authority: string;
  /** Further fields of the call. */
  readonly metadata: HeaderList;
}

/** A request like the client's, which is answered with 200 if it may pass. */
export interface HttpAuthorizer {
  readonly protocol: "http";
  readonly way: Way;
  readonly authority: string;
  readonly pathPrefix: string;
  /** Further fields of the check. */
  readonly adds: readonly HeaderMutation[];
  /** Of the answer, what goes on with the request, in place of what the client said. */
  readonly toUpstream: StringTest;
  /** The same, beside what the client said. */
  readonly toUpstreamAppended: StringTest;
  /** Of a refusal, what the client gets; undefined = every field. */
  readonly toClient: StringTest | undefined;
  /** Of a permission, what the client gets with the response. */
  readonly toClientOnAllow: StringTest;
  /** Of a permission, what becomes metadata, and the namespace of it. */
  readonly toMetadata: StringTest;
}

/** What an authorization service said. */
export type ExtAuthzFact = ExtAuthzAllowed | ExtAuthzDenied;

export interface ExtAuthzAllowed {
  readonly kind: "ext-authz";
  readonly allowed: true;
  readonly request: readonly HeaderMutation[];
  readonly response: readonly HeaderMutation[];
  /** Names of query parameters to set and to remove; undefined = the path stays. */
  readonly metadata: JsonObject | undefined;
  /** Fields that it asked to alter and may not: counted. */
  readonly refusedMutations: number;
}

export interface ExtAuthzDenied {
  readonly kind: "ext-authz";
  readonly allowed: false;
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string;
  readonly metadata: JsonObject | undefined;
}
