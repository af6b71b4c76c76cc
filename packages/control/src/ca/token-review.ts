import { readFile } from "node:fs/promises";
import { request } from "node:https";

import { MeshError } from "@tulle/base";

import type { WorkloadAccount } from "./workload-id.js";

/** Where a Kubernetes API server is, and who asks it. Defaults: as in a pod. */
export interface TokenReviewOptions {
  /** `https://kubernetes.default.svc` */
  readonly server: string;
  /** Root of the API server's certificate. */
  readonly caFile: string;
  /** The control plane's own service-account token, which may create TokenReviews. */
  readonly tokenFile: string;
}

export const IN_CLUSTER: TokenReviewOptions = {
  server: "https://kubernetes.default.svc",
  caFile: "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
  tokenFile: "/var/run/secrets/kubernetes.io/serviceaccount/token",
};

const TIMEOUT_MS = 5000;
const MAX_BYTES = 256 * 1024;
const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;

interface Review {
  readonly status?: {
    readonly authenticated?: unknown;
    readonly audiences?: unknown;
    readonly user?: { readonly username?: unknown };
  };
}

/**
 * Asks the API server whose token it is (`authentication.k8s.io/v1` TokenReview). Undefined: nobody's, or not for one of
 * `audiences`. A server that does not know audiences answers none, which is a refusal. Errors: `unavailable`
 * CA_TOKEN_REVIEW.
 */
export async function reviewToken(
  token: string,
  audiences: readonly string[],
  options: TokenReviewOptions,
): Promise<WorkloadAccount | undefined> {
  const { status } = await post({ token, audiences }, options);
  const meant =
    Array.isArray(status?.audiences) && status.audiences.some((one) => audiences.includes(String(one)));
  if (status?.authenticated !== true || !meant) return undefined;
  const match = SERVICE_ACCOUNT.exec(String(status.user?.username));
  const [, namespace, serviceAccount] = match ?? [];
  return namespace === undefined || serviceAccount === undefined ? undefined : { namespace, serviceAccount };
}

/**
 * Not behind the guard of addresses: the operator has written the address, which often is one of a private network or this
 * machine's; redirects are not followed, and the server must have a certificate of the given root before it is told a token.
 */
async function post(spec: object, { server, caFile, tokenFile }: TokenReviewOptions): Promise<Review> {
  try {
    const [ca, own] = await Promise.all([readFile(caFile, "utf8"), readFile(tokenFile, "utf8")]);
    const body = JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec });
    const text = await new Promise<string>((resolve, reject) => {
      const call = request(
        `${server.replace(/\/$/, "")}/apis/authentication.k8s.io/v1/tokenreviews`,
        {
          method: "POST",
          ca,
          headers: {
            authorization: `Bearer ${own.trim()}`,
            "content-type": "application/json",
            "content-length": Buffer.byteLength(body),
          },
          timeout: TIMEOUT_MS,
        },
        (response) => {
          let received = "";
          response.on("data", (chunk: Buffer) => {
            received += chunk.toString();
            if (received.length > MAX_BYTES) call.destroy(new Error("the answer is too large"));
          });
          response.on("error", reject);
          response.on("end", () => {
            if (response.statusCode === 200 || response.statusCode === 201) resolve(received);
            else reject(new Error(`status ${response.statusCode}`));
          });
        },
      );
      call.on("timeout", () => call.destroy(new Error("no answer in time")));
      call.on("error", reject);
      call.end(body);
    });
    return JSON.parse(text) as Review;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new MeshError(
      "unavailable",
      "CA_TOKEN_REVIEW",
      `the Kubernetes API at ${server} cannot be asked: ${why}`,
      {
        cause,
      },
    );
  }
}
