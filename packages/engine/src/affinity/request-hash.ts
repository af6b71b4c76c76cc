import type { RouteAction_HashPolicy } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { Affinity, EngineRequest } from "../contract.js";
import { mix, saltOf } from "../entropy.js";
import { Word64 } from "../hash/word64.js";
import { xxHash64 } from "../hash/xxhash64.js";
import { requestValue } from "../route/header-value.js";
import { queryParameter } from "../route/query-test.js";
import { compileSubstitution } from "../route/regex.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import { cookieValue, setCookieValue, type CookieSettings } from "./cookies.js";

/** What of a request a part of the hash is made from. */
export type HashInput =
  | {
      readonly from: "header";
      readonly name: string;
      readonly rewrite: ((value: string) => string) | undefined;
    }
  /** `made`: how to make one for a client that brings none; undefined = then there is nothing to hash. */
  | { readonly from: "cookie"; readonly name: string; readonly made: CookieSettings | undefined }
  | { readonly from: "source-address" }
  | { readonly from: "query"; readonly name: string };

export interface HashStep {
  readonly input: HashInput;
  /** What comes after counts only when there is nothing up to here. */
  readonly terminal: boolean;
}

/** Compiles a route's `hash_policy`; undefined when there is none. */
export function compileRequestHash(
  field: string,
  policies: readonly RouteAction_HashPolicy[],
): RequestHash | undefined {
  if (policies.length === 0) return undefined;
  return new RequestHash(
    policies.map((policy, index) => ({
      input: compileInput(`${field}[${index}]`, policy),
      terminal: policy.terminal,
    })),
  );
}

function compileInput(field: string, { policySpecifier: specifier }: RouteAction_HashPolicy): HashInput {
  switch (specifier.case) {
    case "header": {
      const { headerName, regexRewrite } = specifier.value;
      if (headerName === "") throw invalid(at(field, "header.header_name"), "must not be empty");
      return {
        from: "header",
        name: headerName.toLowerCase(),
        rewrite: regexRewrite && compileSubstitution(at(field, "header.regex_rewrite"), regexRewrite),
      };
    }
    case "cookie": {
      const { name, path, ttl, attributes } = specifier.value;
      const ttlMs = durationMs(at(field, "cookie.ttl"), ttl);
      const parts = [name, path, ...attributes.flatMap((one) => [one.name, one.value])];
      if (name === "" || !parts.every(isCookieText))
        throw invalid(
          at(field, "cookie"),
          "must have a name, and no part with a semicolon or a control character",
        );
      return {
        from: "cookie",
        name,
        made: ttlMs === undefined ? undefined : { name, path, ...ttlAndAttributes(ttlMs, attributes) },
      };
    }
    case "connectionProperties":
      if (!specifier.value.sourceIp)
        throw invalid(at(field, "connection_properties.source_ip"), "must be true");
      return { from: "source-address" };
    case "queryParameter":
      if (specifier.value.name === "") throw invalid(at(field, "query_parameter.name"), "must not be empty");
      return { from: "query", name: specifier.value.name };
    case "filterState":
      throw invalid(at(field, "filter_state"), "is not supported: hash a header instead");
    case undefined:
      throw invalid(field, "must set one of header, cookie, connection_properties, query_parameter");
  }
}

/** What may stand in a Set-Cookie field without ending a part of it. */
export function isCookieText(text: string): boolean {
  return /^[\x20-\x3a\x3c-\x7e]*$/.test(text);
}

function ttlAndAttributes(
  ttlMs: number,
  attributes: readonly { readonly name: string; readonly value: string }[],
): Pick<CookieSettings, "ttlSeconds" | "attributes"> {
  return {
    ttlSeconds: ttlMs === 0 ? 0 : Math.max(1, Math.floor(ttlMs / 1000)),
    attributes: attributes.map(({ name, value }) => `; ${name}${value === "" ? "" : `=${value}`}`).join(""),
  };
}

const COOKIE_SALT = saltOf("hash cookie");
const whole = new Word64();

/** What of a request consistent hashing goes by. */
export class RequestHash {
  readonly steps: readonly HashStep[];

  constructor(steps: readonly HashStep[]) {
    this.steps = steps;
  }

  /** Of a TCP connection: by the client's address. */
  static ofSourceAddress(): RequestHash {
    return new RequestHash([{ input: { from: "source-address" }, terminal: true }]);
  }

  /** Combines the parts as Envoy does. `entropy` makes a cookie for a client that brings none. */
  of(
    request: EngineRequest | undefined,
    clientAddress: string,
    entropy: number,
  ): Pick<Affinity, "key" | "setCookie"> {
    let found = false;
    let setCookie = "";
    whole.set(0, 0);
    for (const { input, terminal } of this.steps) {
      let value = valueOf(input, request, clientAddress);
      if (value === undefined && input.from === "cookie" && input.made !== undefined) {
        value = newCookie(entropy);
        setCookie = setCookieValue(input.made, value);
      }
      if (value !== undefined) {
        const part = xxHash64(value);
        if (found) whole.rotate(1).xor(part);
        else whole.copy(part);
        found = true;
      }
      if (terminal && found) break;
    }
    return { key: found ? { high: whole.high, low: whole.low } : undefined, setCookie };
  }
}

function valueOf(
  input: HashInput,
  request: EngineRequest | undefined,
  clientAddress: string,
): string | undefined {
  if (input.from === "source-address") return clientAddress === "" ? undefined : clientAddress;
  if (request === undefined) return undefined;
  switch (input.from) {
    case "header": {
      const value = requestValue(request, input.name);
      return value === undefined || input.rewrite === undefined ? value : input.rewrite(value);
    }
    case "cookie": {
      const value = cookieValue(request.headers, input.name);
      return value === "" ? undefined : value;
    }
    case "query":
      return queryParameter(request.path, input.name);
  }
}

/** 16 hexadecimal digits. It chooses an endpoint and protects nothing, so that it need not be hard to guess. */
function newCookie(entropy: number): string {
  return hex(mix(entropy, COOKIE_SALT)) + hex(mix(entropy, COOKIE_SALT + 1));
}

function hex(bits: number): string {
  return bits.toString(16).padStart(8, "0");
}
