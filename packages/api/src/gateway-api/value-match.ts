import { z } from "zod";
import { struct } from "../schema/struct.js";
import { stringThat } from "../schema/strings.js";
import { headerValue, httpName } from "./names.js";

const type = z.enum(["Exact", "RegularExpression"]).exactOptional();

export const headerMatch = struct({ type, name: httpName, value: headerValue });

export const queryParamMatch = struct({
  type,
  name: httpName,
  value: stringThat((value) => value.length > 0 && value.length <= 1024, "1 to 1024 characters"),
});
