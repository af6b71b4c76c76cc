import { create } from "@bufbuild/protobuf";
import { formatSpiffeId, type Clock, type SpiffeIdParts } from "@tulle/base";
import { joinPem } from "@tulle/base/spiffe";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  IstioCertificateRequestSchema,
  IstioCertificateService,
} from "@tulle/xds/gen/istio/v1/auth/ca_pb.js";

import type { Svid } from "./contract.js";
import { connectControlPlane, controlPlaneError, type ControlPlaneAddress } from "./control-plane.js";
import { createSigningRequest } from "./csr.js";
import { parseSvid } from "./svid.js";

/** How a workload proves who it is: once by a token, from then on by what it has. */
export type Proof = { readonly joinToken: string } | { readonly svid: Svid };

export interface CertificateRequest {
  readonly controlPlane: ControlPlaneAddress;
  readonly id: SpiffeIdParts;
  readonly proof: Proof;
  /** The call is given up after this long, milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

const method = grpcServiceDefinition(IstioCertificateService).createCertificate;

/**
 * Makes a new key and gets a certificate for it. Errors: AGENT_CONTROL_PLANE of the kind that the control plane
 * answered, `unavailable` or `timeout` when it cannot be reached, AGENT_BAD_SVID when the answer is unusable.
 */
export async function requestSvid(request: CertificateRequest): Promise<Svid> {
  const { controlPlane, id, proof, timeoutMs, clock } = request;
  const { csrPem, privateKeyPem } = createSigningRequest(formatSpiffeId(id));
  const client = connectControlPlane(controlPlane, "svid" in proof ? proof.svid : undefined, clock);
  try {
    const response = await client
      .unary(
        method,
        create(IstioCertificateRequestSchema, {
          csr: csrPem,
          metadata: { Namespace: id.namespace, ServiceAccount: id.serviceAccount },
        }),
        {
          metadata: "joinToken" in proof ? ["authorization", `Bearer ${proof.joinToken}`] : [],
          timeoutMs,
        },
      )
      .catch((thrown: unknown) => {
        throw controlPlaneError(controlPlane, thrown);
      });
    const chain = response.certChain;
    // The last one is the roots.
    const [roots = ""] = chain.slice(-1);
    return parseSvid({
      certificateChainPem: chain.slice(0, -1).join(""),
      privateKeyPem,
      trustBundlePem: joinPem([roots]),
    });
  } finally {
    client[Symbol.dispose]();
  }
}
