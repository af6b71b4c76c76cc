import { z } from "zod";
import { show } from "../schema/describe.js";
import { matchLabelsSelector } from "../schema/labels.js";
import { isDnsSubdomain } from "../schema/namespaces.js";
import { nonEmpty, stringThat } from "../schema/strings.js";
import { isFields, listOf, struct, structsOf, type Rule } from "../schema/struct.js";
import { CONDITION_KEYS, conditionKey, type ConditionKind } from "./condition-key.js";
import { targetReference, targetRule } from "./targets.js";
import type { AuthorizationPolicySpec } from "./type.js";
import {
  isBlock,
  isMethodPattern,
  isNamespacePattern,
  isPattern,
  isPortText,
  isServiceAccount,
  pathProblem,
  PATTERN,
} from "./values.js";

/** More values or rules than this are no policy but a database. */
const MAX_ITEMS = 1024;
const MAX_ACCOUNTS = 16;

function listWith(holds: (value: string) => boolean, expected: string, max = MAX_ITEMS) {
  return z.array(stringThat(holds, expected)).max(max, `must have at most ${max} items`).exactOptional();
}

const patterns = listWith(isPattern, PATTERN);
const namespaces = listWith(isNamespacePattern, 'a namespace such as "default", prefix*, *suffix or *');
const accounts = listWith(
  isServiceAccount,
  'a service account such as "reviews" or "default/reviews", without wildcards',
  MAX_ACCOUNTS,
);
const blocks = listWith(isBlock, 'an IP address or a block such as "10.1.0.0/16"');
const ports = listWith(isPortText, 'a port number from 0 to 65535 as a string, such as "8080"');
const methods = listWith(isMethodPattern, "a method such as GET, prefix*, *suffix or *");

const paths = z
  .array(
    z.string().superRefine((value, context) => {
      const problem = pathProblem(value);
      if (problem !== undefined) context.addIssue({ code: "custom", message: `${show(value)} ${problem}` });
    }),
  )
  .max(MAX_ITEMS, `must have at most ${MAX_ITEMS} items`)
  .exactOptional();

/** Every field of a source. */
export const SOURCE_FIELDS = [
  "principals",
  "notPrincipals",
  "requestPrincipals",
  "notRequestPrincipals",
  "namespaces",
  "notNamespaces",
  "serviceAccounts",
  "notServiceAccounts",
  "trustDomains",
  "notTrustDomains",
  "ipBlocks",
  "notIpBlocks",
  "remoteIpBlocks",
  "notRemoteIpBlocks",
] as const;

const OPERATION_FIELDS = [
  "hosts",
  "notHosts",
  "ports",
  "notPorts",
  "methods",
  "notMethods",
  "paths",
  "notPaths",
] as const;

/** An empty list says nothing; what is left over would match everybody. */
function saysSomething(names: readonly string[]): Rule {
  return (fields, report) => {
    if (names.every((name) => listOf(fields[name]).length === 0))
      report([], `must not be empty: it would match everything. Set one of ${names.join(", ")}`);
  };
}

const accountsAlone: Rule = (fields, report) => {
  for (const name of ["serviceAccounts", "notServiceAccounts"]) {
    if (fields[name] === undefined) continue;
    for (const other of ["principals", "notPrincipals", "namespaces", "notNamespaces"])
      if (fields[other] !== undefined) report([other], `cannot stand together with ${name}`);
  }
};

const source = struct(
  {
    principals: patterns,
    notPrincipals: patterns,
    requestPrincipals: patterns,
    notRequestPrincipals: patterns,
    namespaces,
    notNamespaces: namespaces,
    serviceAccounts: accounts,
    notServiceAccounts: accounts,
    trustDomains: patterns,
    notTrustDomains: patterns,
    ipBlocks: blocks,
    notIpBlocks: blocks,
    remoteIpBlocks: blocks,
    notRemoteIpBlocks: blocks,
  },
  saysSomething(SOURCE_FIELDS),
  accountsAlone,
);

const operation = struct(
  {
    hosts: patterns,
    notHosts: patterns,
    ports,
    notPorts: ports,
    methods,
    notMethods: methods,
    paths,
    notPaths: paths,
  },
  saysSomething(OPERATION_FIELDS),
);

/** What values of a kind must be; absent: patterns. */
const VALUES: Partial<Record<ConditionKind, readonly [(value: string) => boolean, string]>> = {
  "source-ip": [isBlock, "an IP address or a block"],
  "remote-ip": [isBlock, "an IP address or a block"],
  "destination-ip": [isBlock, "an IP address or a block"],
  "destination-port": [isPortText, "a port number from 0 to 65535"],
  "source-namespace": [isNamespacePattern, "a namespace, prefix*, *suffix or *"],
  "source-service-account": [isServiceAccount, "a service account without wildcards"],
};

const conditionValues: Rule = (fields, report) => {
  const written = fields["key"];
  if (typeof written !== "string") return;
  const key = conditionKey(written);
  if (key === undefined) {
    report(["key"], `${show(written)} is not known; it must be one of ${CONDITION_KEYS.join(", ")}`);
    return;
  }
  const [holds, expected] = VALUES[key.kind] ?? [isPattern, PATTERN];
  for (const name of ["values", "notValues"]) {
    listOf(fields[name]).forEach((value, index) => {
      if (typeof value === "string" && !holds(value))
        report([name, index], `expected ${expected} for ${written}, got ${show(value)}`);
    });
  }
};

const anyValues = z.array(nonEmpty).max(MAX_ITEMS, `must have at most ${MAX_ITEMS} items`).exactOptional();

const condition = struct(
  { key: nonEmpty, values: anyValues, notValues: anyValues },
  saysSomething(["values", "notValues"]),
  conditionValues,
);

const EMPTY_LIST = "must not be empty: leave it out where anything shall match";

const rule = struct({
  from: z.array(struct({ source })).min(1, EMPTY_LIST).max(MAX_ITEMS).exactOptional(),
  to: z.array(struct({ operation })).min(1, EMPTY_LIST).max(MAX_ITEMS).exactOptional(),
  when: z.array(condition).max(MAX_ITEMS).exactOptional(),
});

const NEEDS_RULES =
  "without rules never matches anything; write `rules: [{}]` when it shall match every request";

const actionRule: Rule = (fields, report) => {
  const { action, rules, provider } = fields;
  if ((action === "DENY" || action === "CUSTOM") && listOf(rules).length === 0)
    report(["rules"], `must have at least one rule: ${action} ${NEEDS_RULES}`);
  if (action === "CUSTOM" && provider === undefined)
    report(["provider"], "is required with action CUSTOM: it names who is asked");
  if (action !== "CUSTOM" && provider !== undefined) report(["provider"], "is only for action CUSTOM");
};

const CUSTOM_SOURCES: readonly string[] = ["requestPrincipals", "notRequestPrincipals"];

/** Who decides is asked before tokens are verified. */
const customSeesNoToken: Rule = (fields, report) => {
  if (fields["action"] !== "CUSTOM") return;
  for (const [index, one] of structsOf(fields["rules"])) {
    for (const [position, from] of structsOf(one["from"])) {
      if (!isFields(from["source"])) continue;
      for (const name of CUSTOM_SOURCES)
        if (from["source"][name] !== undefined)
          report(
            ["rules", index, "from", position, "source", name],
            "cannot stand in a policy of action CUSTOM",
          );
    }
    for (const [position, { key }] of structsOf(one["when"]))
      if (typeof key === "string" && key.startsWith("request.auth."))
        report(["rules", index, "when", position, "key"], `${key} cannot stand in a policy of action CUSTOM`);
  }
};

/** Istio's AuthorizationPolicy, every documented field. */
export const authorizationPolicySpec: z.ZodType<AuthorizationPolicySpec> = struct(
  {
    selector: matchLabelsSelector.exactOptional(),
    targetRef: targetReference.exactOptional(),
    targetRefs: z.array(targetReference).min(1, EMPTY_LIST).max(16).exactOptional(),
    action: z.enum(["ALLOW", "DENY", "AUDIT", "CUSTOM"]).exactOptional(),
    provider: struct({
      name: stringThat(
        (value) => isDnsSubdomain(value) || /^[\w.-]{1,253}$/.test(value),
        "a provider's name",
      ),
    }).exactOptional(),
    rules: z.array(rule).max(MAX_ITEMS, `must have at most ${MAX_ITEMS} items`).exactOptional(),
  },
  actionRule,
  customSeesNoToken,
  targetRule,
);
