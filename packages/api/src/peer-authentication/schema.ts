import { z } from "zod";
import { mapOf, matchLabelsSelector } from "../schema/labels.js";
import { isFields, struct, type Rule } from "../schema/struct.js";
import type { PeerAuthenticationSpec } from "./type.js";

const mtls = struct({ mode: z.enum(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]).exactOptional() });

const isPort = (key: string) => /^[1-9]\d{0,4}$/.test(key) && Number(key) <= 65_535;

/** Ports are a workload's: without a selector it is not said whose. */
const portsNeedSelector: Rule = (fields, report) => {
  const ports = fields["portLevelMtls"];
  if (ports === undefined) return;
  if (!isFields(ports)) return;
  if (Object.keys(ports).length === 0) report(["portLevelMtls"], "must have at least one port");
  const selector = fields["selector"];
  const selected =
    isFields(selector) &&
    isFields(selector["matchLabels"]) &&
    Object.keys(selector["matchLabels"]).length > 0;
  if (!selected)
    report(["portLevelMtls"], "needs a selector with matchLabels: ports are those of a workload");
};

/** Istio's PeerAuthentication, every documented field. */
export const peerAuthenticationSpec: z.ZodType<PeerAuthenticationSpec> = struct(
  {
    selector: matchLabelsSelector.exactOptional(),
    mtls: mtls.exactOptional(),
    portLevelMtls: mapOf(mtls, isPort, "a port number from 1 to 65535").exactOptional(),
  },
  portsNeedSelector,
);
