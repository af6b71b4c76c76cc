import { isCidr, isIpAddress } from "../schema/addresses.js";
import { isFields, listOf, structsOf, type Rule } from "../schema/struct.js";
import { isUnixAddress } from "../workload-entry/schema.js";

/** A host comes once. */
export const distinctHosts: Rule = (fields, report) => {
  const seen = new Set<unknown>();
  listOf(fields["hosts"]).forEach((host, index) => {
    const name = typeof host === "string" ? host.toLowerCase() : host;
    if (seen.has(name)) report(["hosts", index], `repeats ${JSON.stringify(host)}`);
    seen.add(name);
  });
};

/** What each resolution says about endpoints and hosts. */
export const resolutionFits: Rule = (fields, report) => {
  const endpoints = structsOf(fields["endpoints"]);
  switch (fields["resolution"] ?? "NONE") {
    case "NONE":
      if (endpoints.length > 0)
        report(["endpoints"], "cannot be given with resolution NONE; use STATIC or DNS");
      return;
    case "STATIC":
      if (endpoints.length === 0 && fields["workloadSelector"] === undefined) {
        report(["endpoints"], "or workloadSelector is required with resolution STATIC");
      }
      for (const [index, { address }] of endpoints) {
        if (typeof address === "string" && !isIpAddress(address) && !isUnixAddress(address)) {
          report(
            ["endpoints", index, "address"],
            "must be an IP address with resolution STATIC; use DNS for names",
          );
        }
      }
      return;
    case "DNS":
    case "DNS_ROUND_ROBIN":
      if (fields["resolution"] === "DNS_ROUND_ROBIN" && endpoints.length > 1) {
        report(["endpoints"], "must have at most one item with resolution DNS_ROUND_ROBIN");
      }
      lookedUp(fields, endpoints, report);
      return;
    default:
  }
};

function lookedUp(
  fields: Parameters<Rule>[0],
  endpoints: ReturnType<typeof structsOf>,
  report: Parameters<Rule>[1],
): void {
  if (endpoints.length === 0 && fields["workloadSelector"] === undefined) {
    listOf(fields["hosts"]).forEach((host, index) => {
      if (typeof host === "string" && host.startsWith("*")) {
        report(["hosts", index], "cannot be a wildcard when it is looked up in DNS; give endpoints");
      }
    });
  }
  for (const [index, { address }] of endpoints) {
    if (typeof address === "string" && isUnixAddress(address)) {
      report(["endpoints", index, "address"], "cannot be a Unix socket with resolution DNS; use STATIC");
    }
  }
}

/** A block of addresses is no one address to connect to, so nothing is looked up. */
export const blocksNeedNoLookup: Rule = (fields, report) => {
  const resolution = fields["resolution"] ?? "NONE";
  if (resolution === "NONE" || resolution === "STATIC") return;
  listOf(fields["addresses"]).forEach((address, index) => {
    if (typeof address === "string" && isCidr(address)) {
      report(["addresses", index], "can be a block of addresses only with resolution NONE or STATIC");
    }
  });
};

/** Endpoints name ports of this service; a Unix socket serves exactly one. */
export const endpointPorts: Rule = (fields, report) => {
  const ports = structsOf(fields["ports"]);
  const names = new Set(ports.map(([, { name }]) => name));
  for (const [index, endpoint] of structsOf(fields["endpoints"])) {
    for (const name of isFields(endpoint["ports"]) ? Object.keys(endpoint["ports"]) : []) {
      if (!names.has(name))
        report(["endpoints", index, "ports", name], "is not the name of one of spec.ports");
    }
    if (typeof endpoint["address"] === "string" && isUnixAddress(endpoint["address"]) && ports.length !== 1) {
      report(["ports"], "must have exactly one item for endpoints that are Unix sockets");
    }
  }
};
