import type { HeaderModifier } from "../gateway-api/type.js";
import type { KumaInboundPolicySpec } from "../kuma/type.js";

/** How many requests workloads take, in Kuma's vocabulary (`MeshRateLimit`). Everything here is valid. */
export type MeshRateLimitSpec = KumaInboundPolicySpec<MeshRateLimit>;

/** Each sidecar counts for itself. */
export interface MeshRateLimit {
  readonly local?: {
    readonly http?: {
      /** Default false. */
      readonly disabled?: boolean;
      readonly requestRate?: MeshRate;
      readonly onRateLimit?: {
        /** Of the refusal; default 429. */
        readonly status?: number;
        readonly headers?: Pick<HeaderModifier, "set" | "add">;
      };
    };
    /** Not carried out: connections are not counted. */
    readonly tcp?: { readonly disabled?: boolean; readonly connectionRate?: MeshRate };
  };
}

export interface MeshRate {
  readonly num: number;
  /** At least 50 ms. */
  readonly interval: string;
}
