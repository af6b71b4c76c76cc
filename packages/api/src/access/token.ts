import { z } from "zod";
import { InvalidObjectError } from "../status-object.js";
import { integer } from "../schema/numbers.js";
import { isDnsLabel, isDnsSubdomain, namespaceName } from "../schema/namespaces.js";
import { stringThat } from "../schema/strings.js";
import { listOf, struct, type Rule } from "../schema/struct.js";
import { violationsOf } from "../schema/violations.js";
import { ALL_NAMESPACES, isRole, ROLES, type Role, type Scope } from "./role.js";

/** A token for the control plane's APIs, as it may be shown: without its secret. */
export interface AccessTokenInfo extends Scope {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Who made it. */
  readonly createdBy: string;
  /** Milliseconds since the epoch; absent: it holds until it is revoked. */
  readonly expiresAt?: number;
}

/** A new token with its secret, which is shown this once. */
export interface CreatedAccessToken extends AccessTokenInfo {
  readonly token: string;
}

export interface AccessTokenRequest {
  /** Unique; lower-case letters, digits and dashes. */
  readonly name: string;
  readonly role: Role;
  /** Default: all. A `workload` has exactly one, an `admin` all. */
  readonly namespaces?: readonly string[];
  /** Of a `workload`, which needs it. */
  readonly serviceAccount?: string;
  /** From a minute to ten years. Default: until it is revoked. */
  readonly ttlSeconds?: number;
}

const MAX_NAMESPACES = 100;

/** What role and scope say of each other. */
const scopeFitsRole: Rule = ({ role, namespaces, serviceAccount }, report) => {
  const count = listOf(namespaces).length;
  if (namespaces !== undefined && count === 0)
    report(["namespaces"], "is empty: leave it out for all namespaces");
  if (count > MAX_NAMESPACES) report(["namespaces"], `has more than ${MAX_NAMESPACES} names`);
  if (role === "admin" && count > 0) {
    report(["namespaces"], "an admin is one of the whole mesh: for some namespaces choose the role operator");
  }
  if (role === "workload" && count !== 1) report(["namespaces"], "a workload has exactly one");
  if (role === "workload" && serviceAccount === undefined)
    report(["serviceAccount"], "is required of a workload");
  if (role !== "workload" && serviceAccount !== undefined) {
    report(["serviceAccount"], "is for the role workload only");
  }
};

const schema: z.ZodType<AccessTokenRequest> = struct(
  {
    name: stringThat(isDnsLabel, "lower-case letters, digits and dashes, at most 63"),
    role: stringThat(isRole, `one of ${ROLES.join(", ")}`) as z.ZodType<Role>,
    namespaces: z.array(namespaceName).exactOptional(),
    serviceAccount: stringThat(isDnsSubdomain, "a service account's name").exactOptional(),
    ttlSeconds: integer(60, 10 * 366 * 86_400, "seconds").exactOptional(),
  },
  scopeFitsRole,
);

/** Reads a request for a token. Throws InvalidObjectError with everything that is wrong with it. */
export function readAccessTokenRequest(body: unknown): AccessTokenRequest {
  const parsed = violationsOf(schema, body, []);
  if (parsed.success) return parsed.data as AccessTokenRequest;
  throw new InvalidObjectError("the token cannot be made", parsed.violations);
}

/** What the holder of such a token may. */
export function scopeOfToken({ role, namespaces, serviceAccount }: AccessTokenRequest): Scope {
  return {
    role,
    namespaces: namespaces ?? ALL_NAMESPACES,
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
  };
}
