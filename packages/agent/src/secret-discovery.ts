import { createHash } from "node:crypto";

import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { parseSpiffeId } from "@tulle/base";
import { ROOT_SECRET, rootSecret, SECRET_TYPE, WORKLOAD_SECRET, type TrustedRoots } from "@tulle/xds";
import {
  SecretSchema,
  type Secret,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  DiscoveryResponseSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

import type { Svid } from "./contract.js";

/** Secrets that a client may subscribe to at once. */
const MAX_NAMES = 64;

/** The SDS answer for `names`; those that are not secrets of a workload are left out. */
export function secretResponse(svid: Svid, names: readonly string[], nonce: string): DiscoveryResponse {
  const resources = [...new Set(names)].flatMap((name) => {
    const secret = secretOf(svid, name);
    return secret === undefined
      ? []
      : [create(AnySchema, { typeUrl: SECRET_TYPE, value: toBinary(SecretSchema, secret) })];
  });
  return create(DiscoveryResponseSchema, {
    typeUrl: SECRET_TYPE,
    versionInfo: versionOf(svid),
    nonce,
    resources,
  });
}

/** Another for every certificate and for every change of the roots. */
function versionOf(svid: Svid): string {
  const roots = createHash("sha256")
    .update(JSON.stringify(trustedRootsOf(svid)))
    .digest("hex");
  return `${svid.serialNumber}-${roots.slice(0, 12)}`;
}

function trustedRootsOf(svid: Svid): TrustedRoots {
  const { spiffeId, trustBundlePem, federatedBundles, revocationListsPem = "" } = svid;
  const trustDomain = parseSpiffeId(spiffeId)?.trustDomain ?? "";
  return {
    trustDomain,
    bundles: { ...federatedBundles, [trustDomain]: trustBundlePem },
    revocationListsPem,
  };
}

function secretOf(svid: Svid, name: string): Secret | undefined {
  switch (name) {
    case WORKLOAD_SECRET:
      return create(SecretSchema, {
        name,
        type: {
          case: "tlsCertificate",
          value: {
            certificateChain: inline(svid.certificateChainPem),
            privateKey: inline(svid.privateKeyPem),
          },
        },
      });
    case ROOT_SECRET:
      // With one trust domain, its roots are all that a client need know.
      return rootSecret(trustedRootsOf(svid), Object.keys(svid.federatedBundles ?? {}).length > 0);
    default:
      return undefined;
  }
}

function inline(pem: string) {
  return { specifier: { case: "inlineBytes", value: Buffer.from(pem) } } as const;
}

/**
 * One client's SDS subscription (state of the world): what to answer to each request and after each rotation. Answers
 * undefined when there is nothing to say.
 */
export class SecretSubscription {
  #names: readonly string[] = [];
  #sent = 0;

  /** `svid` undefined: there is none yet, the answer follows by {@link rotated}. */
  request(request: DiscoveryRequest, svid: Svid | undefined): DiscoveryResponse | undefined {
    const names = request.resourceNames.slice(0, MAX_NAMES).sort();
    const changed = names.length !== this.#names.length || names.some((name, i) => name !== this.#names[i]);
    const stale = request.responseNonce !== "" && request.responseNonce !== String(this.#sent);
    // An answer to what was sent (accepted or refused) asks for nothing by itself; sending again would loop.
    if (stale || (!changed && this.#sent > 0)) return undefined;
    this.#names = names;
    return this.#answer(svid);
  }

  rotated(svid: Svid): DiscoveryResponse | undefined {
    return this.#answer(svid);
  }

  #answer(svid: Svid | undefined): DiscoveryResponse | undefined {
    if (svid === undefined || this.#names.length === 0) return undefined;
    this.#sent++;
    return secretResponse(svid, this.#names, String(this.#sent));
  }
}
