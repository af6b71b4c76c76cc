import {
  checkDefinition,
  type CheckDefinition,
  type CheckStatus,
  type ProbeDefinition,
  type ProbeTls,
} from "../../definition.js";
import type { FieldReader } from "./field-reader.js";

/** Ways to check that Consul has and we do not; scripts on purpose, for they run commands that callers choose. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  Args: "script checks are not supported, since they run commands of whoever may register: use HTTP, TCP or TTL",
  Script:
    "script checks are not supported, since they run commands of whoever may register: use HTTP, TCP or TTL",
  DockerContainerID:
    "Docker checks are not supported, since they run commands of whoever may register: use HTTP, TCP or TTL",
  OSService:
    "operating system service checks are not supported, since the registry need not run on the machine of the service: use HTTP, TCP, or TTL from the service manager",
};

/** What a check is called and belongs to when its registration does not say. */
export interface CheckContext {
  readonly namespace: string;
  readonly serviceId: string;
  readonly defaultId: string;
  readonly defaultName: string;
}

/** Reads a check as Consul's API takes it; what is wrong goes to the reader's violations. */
export function parseCheck(fields: FieldReader, context: CheckContext): CheckDefinition {
  for (const [field, message] of Object.entries(UNSUPPORTED))
    if (fields.says(field)) fields.refuse(field, message);
  const probe = parseProbe(fields);
  const id = fields.text("CheckID") || fields.text("ID") || context.defaultId;
  const timeoutMs = fields.duration("Timeout");
  const outputMaxBytes = fields.number("OutputMaxSize");
  return checkDefinition({
    id,
    name: fields.text("Name") || context.defaultName,
    notes: fields.text("Notes"),
    namespace: context.namespace,
    serviceId: context.serviceId,
    probe,
    intervalMs: fields.duration("Interval") ?? 0,
    ...(timeoutMs === undefined || timeoutMs === 0 ? {} : { timeoutMs }),
    ...(outputMaxBytes === 0 ? {} : { outputMaxBytes: Math.min(outputMaxBytes, 4096) }),
    initialStatus: parseStatus(fields, "critical"),
    successBeforePassing: fields.number("SuccessBeforePassing"),
    failuresBeforeWarning: fields.number("FailuresBeforeWarning"),
    failuresBeforeCritical: fields.number("FailuresBeforeCritical"),
    deregisterAfterMs: fields.duration("DeregisterCriticalServiceAfter"),
  });
}

/** `passing`, `warning` or `critical`; anything else is a violation. */
export function parseStatus(fields: FieldReader, fallback: CheckStatus): CheckStatus {
  const status = fields.text("Status") || fallback;
  if (status === "passing" || status === "warning" || status === "critical") return status;
  fields.refuse("Status", "must be passing, warning or critical");
  return fallback;
}

function parseProbe(fields: FieldReader): ProbeDefinition {
  const given = ["HTTP", "TCP", "GRPC", "H2PING", "UDP", "TTL", "AliasService", "AliasNode"].filter(
    (kind) => fields.says(kind) && !(kind === "AliasNode" && fields.says("AliasService")),
  );
  if (given.length > 1) fields.refuse(given[1] ?? "", `cannot be given together with ${given[0]}`);
  if (fields.says("HTTP")) {
    return {
      kind: "http",
      url: fields.text("HTTP"),
      method: (fields.text("Method") || "GET").toUpperCase(),
      headers: fields.textsMap("Header"),
      body: fields.text("Body"),
      tlsSkipVerify: fields.boolean("TLSSkipVerify"),
      tlsServerName: fields.text("TLSServerName"),
    };
  }
  if (fields.says("TCP"))
    return {
      kind: "tcp",
      ...parseHostPort(fields.text("TCP")),
      ...tlsIf(fields, fields.boolean("TCPUseTLS")),
    };
  if (fields.says("GRPC")) {
    const text = fields.text("GRPC");
    const slash = text.indexOf("/");
    return {
      kind: "grpc",
      ...parseHostPort(slash < 0 ? text : text.slice(0, slash)),
      service: slash < 0 ? "" : text.slice(slash + 1),
      ...tlsIf(fields, fields.boolean("GRPCUseTLS")),
    };
  }
  if (fields.says("H2PING")) {
    // Consul's default is TLS.
    const tls = !fields.has("H2PingUseTLS") || fields.boolean("H2PingUseTLS");
    return { kind: "h2ping", ...parseHostPort(fields.text("H2PING")), ...tlsIf(fields, tls) };
  }
  if (fields.says("UDP")) return { kind: "udp", ...parseHostPort(fields.text("UDP")) };
  if (fields.says("TTL")) return { kind: "ttl", ttlMs: fields.duration("TTL") ?? 0 };
  if (fields.says("AliasService") || fields.says("AliasNode"))
    return { kind: "alias", node: fields.text("AliasNode"), service: fields.text("AliasService") };
  if (!Object.keys(UNSUPPORTED).some((field) => fields.says(field))) {
    fields.refuse(
      "HTTP",
      "one of HTTP, TCP, GRPC, H2PING, UDP (each with Interval), TTL, AliasService or AliasNode is required",
    );
  }
  return { kind: "none" };
}

function tlsIf(fields: FieldReader, wanted: boolean): { readonly tls?: ProbeTls } {
  if (!wanted) return {};
  return {
    tls: { skipVerify: fields.boolean("TLSSkipVerify"), serverName: fields.text("TLSServerName") },
  };
}

/** `host:port` or `[v6]:port`; what is not one comes out with port 0, which validation refuses. */
function parseHostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  return { host: match?.[1] ?? match?.[2] ?? "", port: Number(match?.[3] ?? 0) };
}
