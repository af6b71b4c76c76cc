import { z } from "zod";
import { matchLabelsSelector } from "../schema/labels.js";
import { port } from "../schema/numbers.js";
import { label } from "../schema/strings.js";
import { struct } from "../schema/struct.js";
import type { ServerSpec } from "./type.js";

/** Every field of a Server that is carried out, or does no harm. */
export const serverSpec: z.ZodType<ServerSpec> = struct({
  podSelector: matchLabelsSelector,
  port: z.union([port, label]),
  proxyProtocol: z.enum(["unknown", "HTTP/1", "HTTP/2", "gRPC", "opaque", "TLS"]).exactOptional(),
  accessPolicy: z.literal(
    "all-unauthenticated",
    "must be all-unauthenticated: a Server refuses nobody here; say who may call in an AuthorizationPolicy",
  ),
});
