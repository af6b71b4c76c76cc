import type { JsonObject } from "@bufbuild/protobuf";
import type { HeaderList } from "@tulle/http";
import type { HeaderMutation } from "../contract.js";
import type { StringTest } from "../route/string-test.js";
import type { Way } from "../route/way.js";
import type { NeedBase } from "./contract.js";
import type { MutationRules } from "./mutation-rules.js";

/** Asks an authorization service whether a request, or a connection that carries bytes, may pass (Envoy's ext_authz). */
export interface ExtAuthzNeed extends NeedBase {
  readonly kind: "ext-authz";
  /** For metrics. */
  readonly name: string;
  readonly service: GrpcAuthorizer | HttpAuthorizer;
  readonly timeoutMs: number;
  /** Which of the request's fields the service is told, by their lower-case names. */
  readonly tells: (name: string) => boolean;
  /** The body goes as bytes, not as text. */
  readonly packAsBytes: boolean;
  /** Values go as bytes, each field for itself (`encode_raw_headers`). */
  readonly rawHeaders: boolean;
  /** What the route says to the service. */
  readonly contextExtensions: Readonly<Record<string, string>>;
  /** Namespaces of the request's metadata that it is told. */
  readonly metadataNamespaces: readonly string[];
  /** Whether it is told the server name that the client asked for. */
  readonly tellsServerName: boolean;
  /** What it may alter. */
  readonly rules: MutationRules;
}

/** How long a gRPC service may take where nothing is said: Envoy's 200 ms. */
export const DEFAULT_AUTHORIZER_TIMEOUT_MS = 200;

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
  readonly answer: HttpAnswerRules;
}

/** What becomes of the fields of an HTTP service's answer, by their lower-case names; undefined = of none. */
export interface HttpAnswerRules {
  /** They go on with the request, in place of what the client said. */
  readonly toUpstream: StringTest | undefined;
  /** The same, beside what the client said. */
  readonly toUpstreamBeside: StringTest | undefined;
  /** Of a refusal, the client gets them; undefined = all of them. */
  readonly toClient: StringTest | undefined;
  /** Of a permission, the client gets them with the response. */
  readonly toClientOnAllow: StringTest | undefined;
  /** Of a permission, they become metadata. */
  readonly toMetadata: StringTest | undefined;
}

/** What an authorization service said. */
export type ExtAuthzFact = ExtAuthzAllowed | ExtAuthzDenied;

export interface ExtAuthzAllowed {
  readonly kind: "ext-authz";
  readonly allowed: true;
  readonly request: readonly HeaderMutation[];
  readonly response: readonly HeaderMutation[];
  /** Parameters of the query to set, and those to take away; undefined = the query stays. */
  readonly query: QueryChange | undefined;
  readonly metadata: JsonObject | undefined;
  /** Fields that it wanted to alter and may not. */
  readonly refusedMutations: number;
}

export interface QueryChange {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export interface ExtAuthzDenied {
  readonly kind: "ext-authz";
  readonly allowed: false;
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string;
  /** Why, where it was not the service that said so: its answer must not be carried out. */
  readonly invalid?: string | undefined;
}
