import type { z } from "zod";
import { isIpAddress } from "../schema/addresses.js";
import { isHostname } from "../schema/hosts.js";
import { labels, mapOf } from "../schema/labels.js";
import { port, uint32 } from "../schema/numbers.js";
import { label, stringThat } from "../schema/strings.js";
import { isFields, struct, type Rule } from "../schema/struct.js";
import type { WorkloadEntrySpec } from "./type.js";

/** Whether an endpoint's address is a Unix socket: absolute, or abstract with `@`. */
export function isUnixAddress(value: string): boolean {
  return /^unix:\/\/[/@][^\0]{1,107}$/.test(value);
}

const isAddress = (value: string) => isIpAddress(value) || isHostname(value) || isUnixAddress(value);
const isPortName = (value: string) => /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/.test(value);
const isLocality = (value: string) => value.length <= 256 && /^[^/*\s]+(?:\/[^/*\s]+){0,2}$/.test(value);

/** What a port's name must be, for messages. */
export const PORT_NAME = 'a port name such as "http"';
export const portName = stringThat(isPortName, PORT_NAME);

const addressed: Rule = (fields, report) => {
  const address = fields["address"];
  if (address === undefined && fields["network"] === undefined) {
    report(["address"], "is required, unless network says where the workload is reached");
  }
  const unix = typeof address === "string" && isUnixAddress(address);
  if (unix && isFields(fields["ports"]) && Object.keys(fields["ports"]).length > 0) {
    report(["ports"], "cannot be given for a Unix socket");
  }
};

/** Istio's WorkloadEntry, every documented field. */
export const workloadEntrySpec: z.ZodType<WorkloadEntrySpec> = struct(
  {
    address: stringThat(isAddress, 'an IP address, a DNS name or "unix:///path"').exactOptional(),
    ports: mapOf(port, isPortName, PORT_NAME).exactOptional(),
    labels: labels.exactOptional(),
    network: label.exactOptional(),
    locality: stringThat(isLocality, 'a locality such as "region/zone/subzone"').exactOptional(),
    weight: uint32.exactOptional(),
    serviceAccount: label.exactOptional(),
  },
  addressed,
);
