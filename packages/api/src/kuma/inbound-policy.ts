import { z } from "zod";
import { atMost } from "../gateway-api/lists.js";
import { atMostOne, struct } from "../schema/struct.js";
import { topTargetRef } from "./target-ref.js";
import type { KumaInboundPolicySpec } from "./type.js";

const everybody = struct({ kind: z.enum(["Mesh"]) });

/** A policy of those that take requests, from whomever they come: as `rules`, or as `from` in older policies. */
export function inboundPolicy<Conf>(conf: z.ZodType<Conf>): z.ZodType<KumaInboundPolicySpec<Conf>> {
  return struct(
    {
      targetRef: topTargetRef.exactOptional(),
      rules: atMost(64, struct({ default: conf.exactOptional() })).exactOptional(),
      from: atMost(64, struct({ targetRef: everybody, default: conf.exactOptional() })).exactOptional(),
    },
    atMostOne("rules", "from"),
  );
}
