import { covers } from "../schema/hosts.js";
import { listOf, structsOf, type Rule } from "../schema/struct.js";

/** A host comes once. */
export const distinctHosts: Rule = (fields, report) => {
  const seen = new Set<unknown>();
  listOf(fields["hosts"]).forEach((host, index) => {
    const name = typeof host === "string" ? host.toLowerCase() : host;
    if (seen.has(name)) report(["hosts", index], `repeats ${JSON.stringify(host)}`);
    seen.add(name);
  });
};

/** `*` would take every call of every sidecar: only a gateway may have it. */
export const meshHosts: Rule = (fields, report) => {
  const gateways = listOf(fields["gateways"]);
  if (gateways.length > 0 && !gateways.includes("mesh")) return;
  const index = listOf(fields["hosts"]).indexOf("*");
  if (index !== -1)
    report(["hosts", index], 'cannot be "*" for sidecars (gateway "mesh"); name hosts or a gateway');
};

/** A delegate is an object without hosts: http rules only, no gateways, and it delegates no further. */
export const delegates: Rule = (fields, report) => {
  if (listOf(fields["hosts"]).length > 0) return;
  const why = "cannot be given without hosts: an object without hosts is a delegate";
  if (listOf(fields["gateways"]).length > 0) report(["gateways"], why);
  for (const name of ["tls", "tcp"]) if (fields[name] !== undefined) report([name], why);
  for (const [index, route] of structsOf(fields["http"])) {
    if (route["delegate"] !== undefined)
      report(["http", index, "delegate"], "cannot be in a delegate: they do not nest");
  }
};

/** Server names are among the object's hosts or below its wildcards. */
export const sniWithinHosts: Rule = (fields, report) => {
  const hosts = listOf(fields["hosts"]).filter((host) => typeof host === "string");
  if (hosts.length === 0) return;
  for (const [index, route] of structsOf(fields["tls"])) {
    for (const [matchIndex, match] of structsOf(route["match"])) {
      listOf(match["sniHosts"]).forEach((sni, sniIndex) => {
        if (typeof sni !== "string" || hosts.some((host) => covers(host, sni))) return;
        report(
          ["tls", index, "match", matchIndex, "sniHosts", sniIndex],
          "is not covered by any of spec.hosts",
        );
      });
    }
  }
};
