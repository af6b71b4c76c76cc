import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { PrincipalSchema, type Principal } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import type { ValueMatcherSchema } from "@tulle/xds/gen/envoy/type/matcher/v3/value_pb.js";
import { PRINCIPALS } from "./algebra.js";
import { patternOf, textMatcher, type Pattern } from "./value-match.js";

/** Where verified tokens are found, as in Istio. */
const JWT_FILTER = "envoy.filters.http.jwt_authn";
const PAYLOAD = "payload";
/** Slashes of a principal that may be the one between issuer and subject. */
const MAX_SPLITS = 16;

type ValueInit = MessageInitShape<typeof ValueMatcherSchema>;

/** A claim: text, or a list with such a text. */
export function claim(path: readonly string[], pattern: Pattern): Principal {
  if (pattern.kind === "present")
    return payload(path, { matchPattern: { case: "presentMatch", value: true } });
  const text = textValue(pattern.kind, pattern.text);
  const list: ValueInit = {
    matchPattern: { case: "listMatch", value: { matchPattern: { case: "oneOf", value: text } } },
  };
  return payload(path, { matchPattern: { case: "orMatch", value: { valueMatchers: [text, list] } } });
}

/**
 * `issuer/subject`: issuers are URLs, and subjects may have slashes, so each slash may be the one between them. What is
 * compared is the two joined, without joining them.
 */
export function requestPrincipal(value: string): Principal {
  const pattern = patternOf(value);
  if (pattern.kind === "present") return both(any("iss"), any("sub"));
  const { kind, text } = pattern;
  const ways: Principal[] = [];
  for (let at = text.indexOf("/"); at !== -1 && ways.length < MAX_SPLITS; at = text.indexOf("/", at + 1)) {
    const issuer = text.slice(0, at);
    const subject = text.slice(at + 1);
    ways.push(
      both(
        kind === "suffix" ? ends("iss", issuer) : is("iss", issuer),
        kind === "prefix" ? begins("sub", subject) : is("sub", subject),
      ),
    );
  }
  if (kind === "prefix") ways.push(both(begins("iss", text), any("sub")));
  if (kind === "suffix") ways.push(both(any("iss"), ends("sub", text)));
  // An exact value without slash is nobody's: there is always one between issuer and subject.
  return ways.length === 0 ? PRINCIPALS.not(PRINCIPALS.anything()) : PRINCIPALS.any(ways);
}

function both(issuer: Principal, subject: Principal): Principal {
  return PRINCIPALS.all([issuer, subject]);
}

function any(name: string): Principal {
  return payload([name], { matchPattern: { case: "presentMatch", value: true } });
}

function is(name: string, text: string): Principal {
  return payload([name], textValue("exact", text));
}

function begins(name: string, text: string): Principal {
  return text === "" ? any(name) : payload([name], textValue("prefix", text));
}

function ends(name: string, text: string): Principal {
  return text === "" ? any(name) : payload([name], textValue("suffix", text));
}

function textValue(kind: "exact" | "prefix" | "suffix", text: string): ValueInit {
  return { matchPattern: { case: "stringMatch", value: textMatcher(kind, text) } };
}

function payload(path: readonly string[], value: ValueInit): Principal {
  return create(PrincipalSchema, {
    identifier: {
      case: "metadata",
      value: {
        filter: JWT_FILTER,
        path: [PAYLOAD, ...path].map((key) => ({ segment: { case: "key" as const, value: key } })),
        value,
      },
    },
  });
}
