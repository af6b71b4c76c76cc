import type { JsonObject } from "@bufbuild/protobuf";
import type { HeaderList } from "@tulle/http";
import type { ValueFormat } from "../format/value-format.js";

/** What a decision may look at of a request. Canonical: the proxy builds it once, everything after reads only it. */
export interface EngineRequest {
  readonly method: string;
  /** Path with its query string. */
  readonly path: string;
  /** Host as the caller named it: lower-case, no trailing dot; with its port when the caller gave one. */
  readonly authority: string;
  readonly scheme: "http" | "https";
  readonly headers: HeaderList;
  /** The client has shown a certificate that holds; absent = it has not. */
  readonly clientCertificate?: boolean;
  /** What steps have found out about it, by namespace (Envoy's dynamic metadata); absent = nothing. */
  readonly metadata?: RequestMetadata | undefined;
}

/** What steps of the chain found out about a request, for the steps behind them and for routes. */
export type RequestMetadata = ReadonlyMap<string, JsonObject>;

/** What a step found out, under a namespace of its own. */
export interface FoundMetadata {
  readonly namespace: string;
  readonly value: JsonObject;
}

/**
 * A set, add or remove of one header field, as data. Names are lower-case. `applyHeaders` carries them out:
 * `set` replaces every field of that name; `append` adds one more; `add-if-absent` and `set-if-present` do what they
 * say (Envoy's ADD_IF_ABSENT and OVERWRITE_IF_EXISTS).
 */
export type HeaderMutation =
  | {
      readonly op: "set" | "append" | "add-if-absent" | "set-if-present";
      readonly name: string;
      /** As configured, where it has command operators. */
      readonly value: string;
      /** Makes the value of the exchange (Envoy's `%REQ(x)%`); undefined: it is `value`. */
      readonly format?: ValueFormat | undefined;
    }
  | { readonly op: "remove"; readonly name: string };
