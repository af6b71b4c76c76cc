import { z } from "zod";
import { listOf, type Rule } from "./struct.js";
import { stringThat } from "./strings.js";

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether `value` is a DNS-1123 label: the form of namespaces' names. */
export function isDnsLabel(value: string): boolean {
  return DNS_LABEL.test(value);
}

/** Whether `value` is a DNS-1123 subdomain: the form of most objects' names. */
export function isDnsSubdomain(value: string): boolean {
  return value.length <= 253 && value.split(".").every((part) => DNS_LABEL.test(part));
}

export const namespaceName = stringThat(isDnsLabel, 'a namespace such as "default"');

/** `.`, `*`, `~` (nobody) or namespaces. */
export const exportTo = z.array(
  stringThat(
    (value) => value === "." || value === "*" || value === "~" || isDnsLabel(value),
    '".", "*" or a namespace',
  ),
);

/** `*` says everything: it stands alone. Namespaces come once. */
export const exportToRule: Rule = (fields, report) => {
  const values = listOf(fields["exportTo"]);
  if (values.includes("*") && values.length > 1)
    report(["exportTo"], 'must hold nothing else when it holds "*"');
  values.forEach((value, index) => {
    if (values.indexOf(value) < index) report(["exportTo", index], `repeats ${JSON.stringify(value)}`);
  });
};
