import type { JwtProvider } from "@tulle/xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { JwtRule } from "../facts/jwt.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileLocations, type TokenLocations } from "./token-locations.js";

/** Who issues tokens, where they are, and what becomes of what they say. */
export interface CompiledProvider {
  readonly name: string;
  readonly rule: JwtRule;
  readonly locations: TokenLocations;
  /** The field with the token goes on to the service. */
  readonly forward: boolean;
  /** Field that the payload goes on in, lower-case; "" = none. */
  readonly payloadHeader: string;
  readonly padPayloadHeader: boolean;
  /** Claims, by their path, that go on in fields. */
  readonly claimHeaders: readonly { readonly header: string; readonly path: readonly string[] }[];
  /** Key of the payload in the request's metadata; "" = it is not kept. */
  readonly metadataKey: string;
  /** Claims that are lists written with spaces between. */
  readonly spaceDelimited: readonly string[];
  /** A route is chosen anew by what the token says. */
  readonly reroutes: boolean;
}

/** Envoy's default. */
const CLOCK_SKEW_SECONDS = 60;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function compileProvider(here: string, name: string, provider: JwtProvider): CompiledProvider {
  refuseUnknown(here, provider);
  return {
    name,
    rule: {
      issuer: provider.issuer,
      audiences: provider.audiences,
      jwks: keysOf(here, provider),
      clockSkewMs: (provider.clockSkewSeconds || CLOCK_SKEW_SECONDS) * 1000,
      requireExpiration: provider.requireExpiration,
    },
    locations: compileLocations(here, provider),
    forward: provider.forward,
    payloadHeader: headerName(at(here, "forward_payload_header"), provider.forwardPayloadHeader),
    padPayloadHeader: provider.padForwardPayloadHeader,
    claimHeaders: provider.claimToHeaders.map(({ headerName: header, claimName }, index) => {
      const field = at(here, `claim_to_headers[${index}]`);
      if (header === "" || claimName === "") throw invalid(field, "must have header_name and claim_name");
      return { header: headerName(at(field, "header_name"), header), path: claimName.split(".") };
    }),
    metadataKey: provider.payloadInMetadata,
    spaceDelimited: provider.normalizePayloadInMetadata?.spaceDelimitedClaims ?? [],
    reroutes: provider.clearRouteCache,
  };
}

/** Fields that would make verification stricter, or be relied on, and are not carried out. */
function refuseUnknown(here: string, provider: JwtProvider): void {
  const given: readonly (readonly [string, boolean])[] = [
    ["subjects", provider.subjects !== undefined],
    ["max_lifetime", provider.maxLifetime !== undefined],
    ["header_in_metadata", provider.headerInMetadata !== ""],
    ["failed_status_in_metadata", provider.failedStatusInMetadata !== ""],
  ];
  for (const [field, set] of given) if (set) throw invalid(at(here, field), "is not supported: leave it out");
}

/** The control plane fetches keys: sidecars reach no further than the mesh. */
function keysOf(here: string, { jwksSourceSpecifier: source }: JwtProvider): string {
  if (source.case === "remoteJwks") {
    throw invalid(
      at(here, "remote_jwks"),
      "is not supported: let the control plane fetch the keys, into local_jwks",
    );
  }
  const specifier = source.case === "localJwks" ? source.value.specifier : undefined;
  if (specifier?.case === "inlineString") return specifier.value;
  if (specifier?.case === "inlineBytes")
    return Array.from(specifier.value, (byte) => String.fromCharCode(byte)).join("");
  throw invalid(at(here, "local_jwks"), "must have inline_string");
}

function headerName(here: string, name: string): string {
  if (name !== "" && !HEADER_NAME.test(name)) throw invalid(here, "must be the name of a header");
  return name.toLowerCase();
}
