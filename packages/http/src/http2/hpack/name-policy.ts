import { TOKEN } from "../../characters.js";
import { copyOf } from "../../latin1.js";
import { huffmanLength, writeHuffman } from "./huffman-encoder.js";
import { staticIndexOf } from "./static-table.js";

/** How the encoder sends the fields of a name. */
export const Mode = {
  /** Into the dynamic table when a value is seen the second time: what never repeats displaces nothing. */
  SECOND_SIGHT: 0,
  /** Into the dynamic table at once: these repeat from request to request. */
  AT_ONCE: 1,
  /** Differs on every request: the value is always literal, only the name becomes an index. */
  LITERAL: 2,
  /** A secret: never indexed, here and by every intermediary (RFC 7541 section 7.1). */
  SECRET: 3,
  /** Only as `te: trailers`. */
  TE: 4,
  /** Belongs to an HTTP/1.1 connection, or is told by a pseudo field: not sent. */
  LEFT_OUT: 5,
} as const;

/** What is known of a name; found by one lookup for every field that is sent. */
export interface NamePolicy {
  /** Lower-case, every character valid. */
  readonly name: string;
  readonly mode: number;
  /** Lowest index in the static table, or 0. */
  readonly staticIndex: number;
  /** 0 to 255; several names may share one. Where the encoder notes the name's last place in its table. */
  readonly id: number;
  /** The name as a string literal (RFC 7541 section 5.2). */
  readonly literal: Buffer;
}

const MODES = new Map<string, number>([
  ...modes(
    Mode.AT_ONCE,
    ":authority accept accept-encoding accept-language accept-charset content-type user-agent origin server via vary " +
      "grpc-encoding grpc-accept-encoding grpc-timeout x-forwarded-proto x-forwarded-host x-forwarded-client-cert " +
      "x-tulle-header-case x-envoy-peer-metadata x-envoy-peer-metadata-id x-envoy-decorator-operation x-powered-by " +
      "strict-transport-security x-content-type-options x-frame-options x-xss-protection content-security-policy",
  ),
  ...modes(
    Mode.LITERAL,
    "x-request-id x-correlation-id traceparent tracestate x-b3-traceid x-b3-spanid x-b3-parentspanid b3 uber-trace-id " +
      "x-cloud-trace-context x-amzn-trace-id x-datadog-trace-id x-datadog-parent-id x-envoy-upstream-service-time " +
      "etag if-none-match x-runtime x-response-time",
  ),
  ...modes(
    Mode.SECRET,
    "authorization proxy-authorization cookie set-cookie x-api-key api-key x-auth-token x-csrf-token x-xsrf-token " +
      "x-amz-security-token x-goog-iap-jwt-assertion",
  ),
  ...modes(
    Mode.LEFT_OUT,
    "connection keep-alive proxy-connection transfer-encoding upgrade http2-settings host " +
      ":method :scheme :path :status :protocol",
  ),
  ["te", Mode.TE],
]);

const MAX_KNOWN = 4096;
const MAX_KNOWN_LENGTH = 64;
/** By the spelling that was given. Starts again when full: names that a peer invents cost time and no memory. */
const known = new Map<string, NamePolicy>();
let nextId = 0;

/** What holds for fields called `raw` (any case). About 8 ns for a name seen before. */
export function policyOf(raw: string): NamePolicy {
  return known.get(raw) ?? learn(raw);
}

/** For the encoder's own pseudo fields, which are `LEFT_OUT` when they come among ordinary ones. */
export function pseudoPolicy(name: string, mode: number): NamePolicy {
  return create(name, mode);
}

function learn(raw: string): NamePolicy {
  const name = validName(raw.toLowerCase());
  const fallback = name.startsWith(":") ? Mode.LEFT_OUT : Mode.SECOND_SIGHT;
  // Every spelling of a name shares one policy, or it would have several places in a table.
  const policy = known.get(name) ?? create(name, MODES.get(name) ?? fallback);
  if (raw.length > MAX_KNOWN_LENGTH || name.length > MAX_KNOWN_LENGTH) return policy;
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(policy.name, policy);
  if (raw !== name) known.set(copyOf(raw), policy);
  return policy;
}

function create(name: string, mode: number): NamePolicy {
  const own = copyOf(name);
  return { name: own, mode, staticIndex: staticIndexOf(own), id: nextId++ & 0xff, literal: literalOf(own) };
}

/** A name that could not be sent would break the peer's connection: `_` for every character that it may not have. */
function validName(lower: string): string {
  let name = lower.startsWith(":") ? ":" : "";
  for (let i = name.length; i < lower.length; i++) {
    const code = lower.charCodeAt(i);
    name += code < 0x80 && TOKEN[code] === 1 ? lower[i]! : "_";
  }
  return name === "" ? "_" : name;
}

function literalOf(name: string): Buffer {
  const length = huffmanLength(name);
  const bytes = Buffer.alloc(length + 6);
  let at = 0;
  if (length < 0x7f) bytes[at++] = 0x80 | length;
  else {
    bytes[at++] = 0xff;
    let rest = length - 0x7f;
    for (; rest >= 0x80; rest >>>= 7) bytes[at++] = 0x80 | (rest & 0x7f);
    bytes[at++] = rest;
  }
  return bytes.subarray(0, writeHuffman(bytes, at, name));
}

function modes(mode: number, names: string): [string, number][] {
  return names.split(" ").map((name) => [name, mode]);
}
