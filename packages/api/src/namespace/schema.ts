import { z } from "zod";
import { label } from "../schema/strings.js";
import { struct } from "../schema/struct.js";
import type { NamespaceSpec } from "./type.js";

export const namespaceSpec: z.ZodType<NamespaceSpec> = struct({ finalizers: z.array(label).exactOptional() });
