import { z } from "zod";
import { atMost, oneTo } from "../gateway-api/lists.js";
import { group, hostname, kindName, objectName, sectionName } from "../gateway-api/names.js";
import { labelSelector } from "../schema/label-selector.js";
import { namespaceName } from "../schema/namespaces.js";
import { port } from "../schema/numbers.js";
import { nonEmpty } from "../schema/strings.js";
import { struct, structsOf, unique, type Rule } from "../schema/struct.js";
import type { K8sGatewaySpec } from "./type.js";

const tls = struct({
  mode: z.enum(["Terminate", "Passthrough"]).exactOptional(),
  certificateRefs: atMost(
    64,
    struct({
      group: group.exactOptional(),
      kind: kindName.exactOptional(),
      name: objectName,
      namespace: namespaceName.exactOptional(),
    }),
  ).exactOptional(),
});

const frontendChecks = struct({
  validation: struct({
    caCertificateRefs: oneTo(
      8,
      struct({ group, kind: kindName, name: objectName, namespace: namespaceName.exactOptional() }),
    ),
    mode: z.enum(["AllowValidOnly", "AllowInsecureFallback"]).exactOptional(),
  }).exactOptional(),
});

const frontendTls = struct(
  { default: frontendChecks, perPort: atMost(64, struct({ port, tls: frontendChecks })).exactOptional() },
  unique("perPort", "port"),
);

const tlsFitsProtocol: Rule = ({ protocol, tls: given, hostname: host }, report) => {
  const secure = protocol === "HTTPS" || protocol === "TLS";
  if (secure && given === undefined) report(["tls"], `is required with protocol ${protocol}`);
  if (!secure && given !== undefined) report(["tls"], `is for the protocols HTTPS and TLS`);
  if (host !== undefined && (protocol === "TCP" || protocol === "UDP"))
    report(["hostname"], `means nothing with protocol ${protocol}`);
};

const certificateFitsMode: Rule = ({ protocol, tls: given }, report) => {
  if (typeof given !== "object" || given === null) return;
  const { mode = "Terminate", certificateRefs } = given as { mode?: unknown; certificateRefs?: unknown };
  const count = Array.isArray(certificateRefs) ? certificateRefs.length : 0;
  if (mode === "Terminate" && count === 0)
    report(["tls", "certificateRefs"], "must have a certificate with mode Terminate");
  if (mode === "Passthrough" && protocol === "HTTPS")
    report(["tls", "mode"], "must be Terminate with protocol HTTPS");
};

/** Port, protocol and hostname together come once. */
export const distinctListeners: Rule = (fields, report) => {
  const seen = new Map<string, number>();
  for (const [index, { port: number, protocol, hostname: host = "" }] of structsOf(fields["listeners"])) {
    const key = JSON.stringify([number, protocol, host]);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    else report(["listeners", index], `has port, protocol and hostname of listeners[${first}]`);
  }
};

/** From which namespaces routes or sets of listeners may come. */
const fromNamespaces = struct({
  from: z.enum(["All", "Same", "Selector", "None"]).exactOptional(),
  selector: labelSelector.exactOptional(),
});

/** The listeners of a Gateway or of a ListenerSet. */
export const gatewayListeners = oneTo(
  64,
  struct(
    {
      name: sectionName,
      hostname: hostname.exactOptional(),
      port,
      protocol: nonEmpty,
      tls: tls.exactOptional(),
      allowedRoutes: struct({
        namespaces: fromNamespaces.exactOptional(),
        kinds: atMost(8, struct({ group: group.exactOptional(), kind: kindName })).exactOptional(),
      }).exactOptional(),
    },
    tlsFitsProtocol,
    certificateFitsMode,
  ),
);

/** Gateway API's Gateway: every field of its standard channel but what provisions infrastructure. */
export const k8sGatewaySpec: z.ZodType<K8sGatewaySpec> = struct(
  {
    gatewayClassName: objectName,
    addresses: atMost(
      16,
      struct({ type: nonEmpty.exactOptional(), value: nonEmpty.exactOptional() }),
    ).exactOptional(),
    listeners: gatewayListeners,
    allowedListeners: struct({ namespaces: fromNamespaces.exactOptional() }).exactOptional(),
    tls: struct({ frontend: frontendTls.exactOptional() }).exactOptional(),
  },
  unique("listeners", "name"),
  distinctListeners,
);
