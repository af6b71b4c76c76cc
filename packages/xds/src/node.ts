import { DNS_LABEL, DNS_SUBDOMAIN } from "./node-names.js";

/** Client languages that the control plane speaks. */
export type NodeDialect = "tulle" | "grpc";

/** A port of the workload that a sidecar fronts. */
export interface NodeInboundPort {
  readonly service: string;
  readonly namespace: string;
  /** The port that callers name. */
  readonly servicePort: number;
  /** Where the application listens on the workload's loopback. */
  readonly appPort: number;
  /** What the workload says that the port speaks, in the registry's words; absent when it does not say. */
  readonly protocol?: NodeProtocol;
  /** Version of the PROXY header that the application expects; absent: none. */
  readonly proxyProtocol?: 1 | 2;
}

/** Application protocols, as the registry knows them. */
export type NodeProtocol = (typeof PROTOCOLS)[number];

const PROTOCOLS = ["http", "http2", "grpc", "grpc-web", "https", "tls", "tcp"] as const;

/** An xDS client as it describes itself; nothing in it is proved. */
export interface XdsNode {
  readonly id: string;
  readonly dialect: NodeDialect;
  /** Of its software, for people: `1.2.3`; "" when it does not say. */
  readonly version: string;
  /** "" when a `grpc` client does not say. */
  readonly namespace: string;
  /** "" when a `grpc` client does not say. */
  readonly serviceAccount: string;
  /** "" when it does not say. */
  readonly workloadName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly inbound: readonly NodeInboundPort[];
  /** `host:port` of its admin listener, or "". */
  readonly admin: string;
  /** Whether connections are redirected to it (Istio's INTERCEPTION_MODE REDIRECT). */
  readonly intercepts: boolean;
  /** Set for a gateway (Istio's role `router`). */
  readonly gateway: NodeGateway | undefined;
}

/** What a gateway says of where it stands. */
export interface NodeGateway {
  /** Proxies in front of it whose `x-forwarded-for` is believed; 0 when it does not say. */
  readonly trustedProxies: number;
}

/** The two ways in which clients tell their version: gRPC and Tulle as text, Envoy in numbers. */
type NodeVersion =
  | { readonly case: "userAgentVersion"; readonly value: string }
  | {
      readonly case: "userAgentBuildVersion";
      readonly value: {
        readonly version?:
          | { readonly majorNumber: number; readonly minorNumber: number; readonly patch: number }
          | undefined;
      };
    }
  | { readonly case: undefined; readonly value?: undefined };

/** What of a Node message is read; hostile. */
export interface NodeMessage {
  readonly id: string;
  readonly userAgentName: string;
  readonly userAgentVersionType?: NodeVersion;
  readonly metadata?: unknown;
}

export interface NodeViolation {
  /** `metadata.INBOUND[0].appPort` */
  readonly path: string;
  readonly message: string;
}

export type ParsedNode =
  | { readonly ok: true; readonly node: XdsNode }
  | { readonly ok: false; readonly violations: readonly NodeViolation[] };

const MAX_TEXT_LENGTH = 512;
const MAX_LABELS = 64;
const MAX_INBOUND_PORTS = 64;
/** More proxies in front of a gateway than anybody has. */
const MAX_PROXIES = 32;
/** Says no more than this of a node that is wrong all over. */
const MAX_VIOLATIONS = 32;

/**
 * Reads the Node of a stream's first request and reports all that is wrong with it. A `tulle` client must say who it
 * is (id, NAMESPACE, SERVICE_ACCOUNT); of a `grpc` client, whose bootstrap file people write by hand, only an id is
 * asked. The result never shares a prototype or a key with the input but for checked label names.
 */
export function parseNode(message: NodeMessage): ParsedNode {
  const reader = new MetadataReader();
  const dialect = dialectOf(message.userAgentName);
  if (dialect === undefined) {
    reader.refuse(
      "user_agent_name",
      `must be "tulle" or start with "gRPC"; ${quote(message.userAgentName)} is not served`,
    );
  }
  const strict = dialect === "tulle";
  const metadata = reader.record(message.metadata ?? {}, "metadata");
  const node: XdsNode = {
    id: reader.text(message.id, "id", true),
    dialect: dialect ?? "tulle",
    version: versionOf(message.userAgentVersionType),
    namespace: reader.name(metadata["NAMESPACE"], "metadata.NAMESPACE", DNS_LABEL, strict),
    serviceAccount: reader.name(
      metadata["SERVICE_ACCOUNT"],
      "metadata.SERVICE_ACCOUNT",
      DNS_SUBDOMAIN,
      strict,
    ),
    workloadName: reader.text(metadata["WORKLOAD_NAME"], "metadata.WORKLOAD_NAME", false),
    labels: reader.labels(metadata["LABELS"], "metadata.LABELS"),
    inbound: reader.inbound(metadata["INBOUND"], "metadata.INBOUND"),
    admin: reader.text(metadata["ADMIN"], "metadata.ADMIN", false),
    intercepts:
      reader.interceptionMode(metadata["INTERCEPTION_MODE"], "metadata.INTERCEPTION_MODE") === "REDIRECT",
    gateway: message.id.startsWith("router~")
      ? { trustedProxies: reader.count(metadata["TRUSTED_PROXIES"], "metadata.TRUSTED_PROXIES", MAX_PROXIES) }
      : undefined,
  };
  if (strict && node.id !== "" && !namesItsNamespace(node)) {
    reader.refuse(
      "id",
      `must have the form sidecar~<ip>~<instance id>.<namespace>~<namespace>.svc.<domain> with the namespace of metadata.NAMESPACE; it is ${quote(node.id)}`,
    );
  }
  return reader.violations.length > 0 ? { ok: false, violations: reader.violations } : { ok: true, node };
}

function dialectOf(userAgentName: string): NodeDialect | undefined {
  if (userAgentName === "tulle") return "tulle";
  return userAgentName.startsWith("gRPC") ? "grpc" : undefined;
}

const MAX_VERSION_LENGTH = 64;

/** Nothing depends on it: what cannot be shown is left out, not refused. */
function versionOf(told: NodeVersion | undefined): string {
  if (told?.case === "userAgentVersion")
    return told.value.length <= MAX_VERSION_LENGTH && !hasControl(told.value) ? told.value : "";
  const { majorNumber, minorNumber, patch } = told?.value?.version ?? {};
  return majorNumber === undefined ? "" : `${majorNumber}.${minorNumber}.${patch}`;
}

/** `sidecar~<ip>~<instance id>.<namespace>~<namespace>.svc.<domain>`, of a gateway `router~…`. */
function namesItsNamespace(node: XdsNode): boolean {
  const [role, ip, instance, domain, ...rest] = node.id.split("~");
  if (
    (role !== "sidecar" && role !== "router") ||
    !ip ||
    instance === undefined ||
    domain === undefined ||
    rest.length > 0
  ) {
    return false;
  }
  // Checked apart: without a namespace, the missing one is the violation.
  if (node.namespace === "") return true;
  return (
    instance.length > node.namespace.length + 1 &&
    instance.endsWith(`.${node.namespace}`) &&
    domain.startsWith(`${node.namespace}.svc.`)
  );
}

class MetadataReader {
  readonly violations: NodeViolation[] = [];

  refuse(path: string, message: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push({ path, message });
  }

  record(value: unknown, path: string): Readonly<Record<string, unknown>> {
    if (isRecord(value)) return Object.assign(Object.create(null) as Record<string, unknown>, value);
    this.refuse(path, "must be an object");
    return {};
  }

  text(value: unknown, path: string, required: boolean): string {
    if (value === undefined || value === null || value === "") {
      if (required) this.refuse(path, "is missing");
      return "";
    }
    if (typeof value !== "string") this.refuse(path, "must be a string");
    else if (value.length > MAX_TEXT_LENGTH)
      this.refuse(path, `may have at most ${MAX_TEXT_LENGTH} characters`);
    else if (hasControl(value)) this.refuse(path, "must not contain control characters");
    else return value;
    return "";
  }

  name(value: unknown, path: string, form: RegExp, required: boolean): string {
    const text = this.text(value, path, required);
    if (text === "" || form.test(text)) return text;
    this.refuse(path, `must be a Kubernetes name (RFC 1123): lower-case letters, digits and dashes`);
    return "";
  }

  port(value: unknown, path: string): number {
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
    this.refuse(path, "must be a port number, 1 to 65535");
    return 0;
  }

  /** A whole number from 0 to `most`; 0 when there is none. */
  count(value: unknown, path: string, most: number): number {
    if (value === undefined || value === null) return 0;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most) return value;
    this.refuse(path, `must be a whole number from 0 to ${most}`);
    return 0;
  }

  labels(value: unknown, path: string): Readonly<Record<string, string>> {
    const labels = Object.create(null) as Record<string, string>;
    if (value === undefined || value === null) return labels;
    const entries = Object.entries(this.record(value, path));
    if (entries.length > MAX_LABELS) this.refuse(path, `may have at most ${MAX_LABELS} entries`);
    for (const [key, label] of entries.slice(0, MAX_LABELS)) {
      if (key === "" || key.length > MAX_TEXT_LENGTH || hasControl(key)) {
        this.refuse(path, `has a bad key ${quote(key)}`);
      } else {
        labels[key] = this.text(label, `${path}[${JSON.stringify(key)}]`, false);
      }
    }
    return labels;
  }

  interceptionMode(value: unknown, path: string): "NONE" | "REDIRECT" {
    if (value === "REDIRECT") return value;
    if (value !== undefined && value !== null && value !== "" && value !== "NONE") {
      this.refuse(path, "must be REDIRECT or NONE");
    }
    return "NONE";
  }

  inbound(value: unknown, path: string): readonly NodeInboundPort[] {
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) {
      this.refuse(path, "must be a list");
      return [];
    }
    if (value.length > MAX_INBOUND_PORTS) this.refuse(path, `may have at most ${MAX_INBOUND_PORTS} entries`);
    return value.slice(0, MAX_INBOUND_PORTS).map((each: unknown, index) => {
      const at = `${path}[${index}]`;
      const port = this.record(each, at);
      const protocol = this.protocol(port["protocol"], `${at}.protocol`);
      const proxyProtocol = this.proxyProtocol(port["proxyProtocol"], `${at}.proxyProtocol`);
      return {
        service: this.text(port["service"], `${at}.service`, true),
        namespace: this.name(port["namespace"], `${at}.namespace`, DNS_LABEL, true),
        servicePort: this.port(port["servicePort"], `${at}.servicePort`),
        appPort: this.port(port["appPort"], `${at}.appPort`),
        ...(protocol === undefined ? {} : { protocol }),
        ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
      };
    });
  }

  proxyProtocol(value: unknown, path: string): 1 | 2 | undefined {
    if (value === 1 || value === 2) return value;
    if (value !== undefined && value !== null) this.refuse(path, "must be 1 or 2");
    return undefined;
  }

  protocol(value: unknown, path: string): NodeProtocol | undefined {
    if (value === undefined || value === null || value === "") return undefined;
    const known = PROTOCOLS.find((protocol) => protocol === value);
    if (known === undefined) this.refuse(path, `must be one of ${PROTOCOLS.join(", ")}`);
    return known;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasControl(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  return /[\u0000-\u001f\u007f]/.test(text);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 128));
}
