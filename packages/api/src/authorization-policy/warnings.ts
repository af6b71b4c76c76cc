import { SOURCE_FIELDS } from "./schema.js";
import type { AuthorizationOperation, AuthorizationPolicySpec } from "./type.js";

/** What bytes have a source by, too: all but tokens. */
const TCP_SOURCES = SOURCE_FIELDS.filter(
  (name) => name !== "requestPrincipals" && name !== "notRequestPrincipals",
);
const TCP_OPERATIONS: readonly (keyof AuthorizationOperation)[] = ["ports", "notPorts"];

/** What a valid policy does that its author may not expect. */
export function warnOfPolicy(spec: AuthorizationPolicySpec): readonly string[] {
  return [...emptyLists(spec), ...wideDenials(spec)];
}

/** As in Istio, an empty list is like none: the rule is not narrowed by it. */
function emptyLists({ rules = [] }: AuthorizationPolicySpec): readonly string[] {
  const found: string[] = [];
  const look = (path: string, fields: object): void => {
    for (const [name, list] of Object.entries(fields))
      if (Array.isArray(list) && list.length === 0)
        found.push(`${path}.${name} is empty: it is as if it were not there, and matches everything`);
  };
  rules.forEach(({ from = [], to = [], when = [] }, index) => {
    const rule = `spec.rules[${index}]`;
    from.forEach(({ source }, position) => look(`${rule}.from[${position}].source`, source));
    to.forEach(({ operation }, position) => look(`${rule}.to[${position}].operation`, operation));
    when.forEach((condition, position) => look(`${rule}.when[${position}]`, condition));
  });
  return found;
}

function wideDenials({ action, rules = [] }: AuthorizationPolicySpec): readonly string[] {
  if (action !== "DENY") return [];
  return rules.flatMap(({ from = [], to = [] }, index) => {
    const tcpSource = from.some(({ source }) => TCP_SOURCES.some((name) => source[name] !== undefined));
    const tcpOperation = to.some(({ operation }) =>
      TCP_OPERATIONS.some((name) => operation[name] !== undefined),
    );
    const wide = (from.length > 0 && to.length === 0 && !tcpSource) || (to.length > 0 && !tcpOperation);
    if (!wide) return [];
    return [
      `spec.rules[${index}] denies by what only HTTP has: on TCP ports in its scope it denies ` +
        `${tcpSource ? "everything from its sources" : "everything"}. Add operation.ports to say which ports are meant`,
    ];
  });
}
