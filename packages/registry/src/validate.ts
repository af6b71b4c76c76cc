import { DECLARED_PROTOCOLS, declaredProtocol, type Violation } from "@tulle/api";
import { MeshError } from "@tulle/base";
import { isMeshName } from "./catalog.js";
import { isAsking, type CheckDefinition, type NodeDefinition, type ServiceDefinition } from "./definition.js";
import { MESH_ADDRESS_TAG, MESH_KEYS } from "./instance.js";

const LIMIT = {
  name: 255,
  id: 512,
  /** Above the id's: check ids are made of service ids. */
  checkId: 640,
  tags: 256,
  tag: 255,
  metaPairs: 64,
  metaKey: 128,
  metaValue: 512,
  taggedAddresses: 32,
  checks: 64,
  notes: 4096,
  url: 4096,
  headers: 64,
  probeBody: 65_536,
  outputBytes: 65_536,
  /** Ten years: longer durations are mistakes. */
  durationMs: 315_360_000_000,
  threshold: 10_000,
} as const;

/**
 * Everything that is wrong with a registration. Paths are the field names of Consul's API. Which names DNS cannot
 * answer is not a violation: see {@link nameWarning}.
 */
export function validateService(service: ServiceDefinition): readonly Violation[] {
  const report = new Report();
  report.text("Name", service.name, LIMIT.name, "missing service name");
  report.text("ID", service.id, LIMIT.id, "must not be empty");
  report.label("Namespace", service.namespace);
  report.range("Port", service.port, 0, 65_535);
  report.address("Address", service.address);
  report.range("Weights.Passing", service.weights.passing, 1, 65_535);
  report.range("Weights.Warning", service.weights.warning, 0, 65_535);
  report.atMost("Tags", service.tags.length, LIMIT.tags);
  for (const [at, tag] of service.tags.entries()) report.text(`Tags[${at}]`, tag, LIMIT.tag);
  report.meta("Meta", service.meta);
  const tagged = Object.entries(service.taggedAddresses);
  report.atMost("TaggedAddresses", tagged.length, LIMIT.taggedAddresses);
  for (const [key, { address, port }] of tagged) {
    report.text(`TaggedAddresses.${key}`, key, LIMIT.metaKey, "its name must not be empty");
    report.address(`TaggedAddresses.${key}.Address`, address);
    report.range(`TaggedAddresses.${key}.Port`, port, key === MESH_ADDRESS_TAG ? 1 : 0, 65_535);
  }
  if (service.locality !== undefined) {
    report.text("Locality.Region", service.locality.region, LIMIT.name);
    report.text("Locality.Zone", service.locality.zone, LIMIT.name);
  }
  validateMeshMeta(service, report);
  return report.violations;
}

function validateMeshMeta({ meta }: ServiceDefinition, report: Report): void {
  const port = meta[MESH_KEYS.servicePort];
  if (port !== undefined && !(/^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535)) {
    report.add(`Meta.${MESH_KEYS.servicePort}`, "must be a port, 1 to 65535");
  }
  const protocol = meta[MESH_KEYS.protocol];
  if (protocol !== undefined && declaredProtocol(protocol) === undefined) {
    report.add(`Meta.${MESH_KEYS.protocol}`, `must be one of ${DECLARED_PROTOCOLS.join(", ")}`);
  }
  const account = meta[MESH_KEYS.serviceAccount];
  // Becomes a segment of a SPIFFE id's path (SPIFFE-ID section 2.2).
  if (account !== undefined && !/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$/.test(account)) {
    report.add(
      `Meta.${MESH_KEYS.serviceAccount}`,
      "must be letters, digits, '.', '_' and '-', and not begin with '.'",
    );
  }
}

/** Everything that is wrong with a service's checks. */
export function validateChecks(checks: readonly CheckDefinition[]): readonly Violation[] {
  const report = new Report();
  report.atMost("Checks", checks.length, LIMIT.checks);
  const ids = new Set<string>();
  for (const [at, check] of checks.entries()) {
    if (ids.has(check.id))
      report.add(`Checks[${at}].CheckID`, "another check of this registration has this id");
    ids.add(check.id);
    report.violations.push(...validateCheck(check, `Checks[${at}].`));
  }
  return report.violations;
}

/** Everything that is wrong with a check; `prefix` goes before the paths. */
export function validateCheck(check: CheckDefinition, prefix = ""): readonly Violation[] {
  const report = new Report(prefix);
  report.text("CheckID", check.id, LIMIT.checkId, "must not be empty");
  report.text("Name", check.name, LIMIT.checkId, "missing check name");
  report.label("Namespace", check.namespace);
  report.atMost("Notes", check.notes.length, LIMIT.notes);
  report.range("OutputMaxSize", check.outputMaxBytes, 1, LIMIT.outputBytes);
  for (const [path, value] of [
    ["SuccessBeforePassing", check.successBeforePassing],
    ["FailuresBeforeWarning", check.failuresBeforeWarning],
    ["FailuresBeforeCritical", check.failuresBeforeCritical],
  ] as const) {
    report.range(path, value, 0, LIMIT.threshold);
  }
  if (check.failuresBeforeWarning > check.failuresBeforeCritical && check.failuresBeforeCritical > 0) {
    report.add("FailuresBeforeWarning", "must not be higher than FailuresBeforeCritical");
  }
  if (check.deregisterAfterMs !== undefined) {
    report.duration("DeregisterCriticalServiceAfter", check.deregisterAfterMs);
  }
  const { probe } = check;
  if (isAsking(probe)) {
    report.duration("Interval", check.intervalMs);
    report.duration("Timeout", check.timeoutMs);
  }
  if (probe.kind === "alias") {
    report.text("AliasService", probe.service || "-", LIMIT.id);
    report.text("AliasNode", probe.node || "-", LIMIT.name);
  }
  if (probe.kind === "ttl") report.duration("TTL", probe.ttlMs);
  if ("host" in probe && (probe.host === "" || !(probe.port >= 1 && probe.port <= 65_535))) {
    const service = probe.kind === "grpc" ? ", or host:port/service" : "";
    report.add(probe.kind.toUpperCase(), `must be host:port${service}`);
  }
  if (probe.kind === "grpc" && !/^[\x21-\x7e]{0,100}$/.test(probe.service))
    report.add("GRPC", "the service must be at most 100 characters without spaces");
  if (probe.kind === "http") {
    if (!isHttpUrl(probe.url)) report.add("HTTP", "must be an http:// or https:// URL");
    if (!/^[A-Za-z]{1,32}$/.test(probe.method)) report.add("Method", "must be a method such as GET");
    report.atMost("Header", Object.keys(probe.headers).length, LIMIT.headers);
    report.atMost("Body", probe.body.length, LIMIT.probeBody);
  }
  return report.violations;
}

export function validateNode(node: NodeDefinition): readonly Violation[] {
  const report = new Report();
  report.text("Node", node.name, LIMIT.name, "must not be empty");
  report.address("Address", node.address);
  if (node.address === "") report.add("Address", "must not be empty");
  report.text("ID", node.id, LIMIT.id);
  report.meta("NodeMeta", node.meta);
  report.meta("TaggedAddresses", node.taggedAddresses);
  return report.violations;
}

/** What a user should know about a name that neither DNS nor the mesh can carry, or undefined. */
export function nameWarning(service: ServiceDefinition): string | undefined {
  return isMeshName(service.name)
    ? undefined
    : `"${service.name}" is not a DNS label (letters, digits, '-', '_', at most 63): only the HTTP API will find it`;
}

/** Throws `invalid` REGISTRY_INVALID with all violations in one message. */
export function assertValid(what: string, violations: readonly Violation[]): void {
  if (violations.length === 0) return;
  const list = violations
    .map(({ path, message }) => (path === "" ? message : `${path}: ${message}`))
    .join("; ");
  throw new MeshError("invalid", "REGISTRY_INVALID", `invalid ${what}: ${list}`);
}

class Report {
  readonly violations: Violation[] = [];
  readonly #prefix: string;

  constructor(prefix = "") {
    this.#prefix = prefix;
  }

  add(path: string, message: string): void {
    this.violations.push({ path: this.#prefix + path, message });
  }

  /** `ifEmpty`: what to say of an empty text; without it empty is fine. */
  text(path: string, value: string, maxLength: number, ifEmpty?: string): void {
    if (value === "" && ifEmpty !== undefined) this.add(path, ifEmpty);
    this.atMost(path, value.length, maxLength);
    if (hasControl(value)) this.add(path, "must not contain control characters or broken Unicode");
  }

  label(path: string, value: string): void {
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value)) {
      this.add(path, "must be a DNS label: lower-case letters, digits and '-', at most 63");
    }
  }

  range(path: string, value: number, min: number, max: number): void {
    if (!Number.isInteger(value) || value < min || value > max) {
      this.add(path, `must be a whole number from ${min} to ${max}`);
    }
  }

  atMost(path: string, value: number, max: number): void {
    if (value > max) this.add(path, `must not be longer than ${max}`);
  }

  duration(path: string, ms: number): void {
    if (!(ms > 0 && ms <= LIMIT.durationMs)) this.add(path, "must be a duration above zero, such as 10s");
  }

  address(path: string, value: string): void {
    if (value === "0.0.0.0" || value === "::")
      this.add(path, "must be an address that others can connect to");
    else if (value.length > 253 || !/^[A-Za-z0-9._:%-]*$/.test(value))
      this.add(path, "must be an IP or a host name");
  }

  meta(path: string, meta: Readonly<Record<string, string>>): void {
    const pairs = Object.entries(meta);
    if (pairs.length > LIMIT.metaPairs) this.add(path, `must not have more than ${LIMIT.metaPairs} pairs`);
    for (const [key, value] of pairs) {
      if (!/^[A-Za-z0-9_./-]{1,128}$/.test(key)) {
        this.add(
          `${path}.${key.slice(0, LIMIT.metaKey)}`,
          "keys are letters, digits and '_', '.', '/', '-', at most 128",
        );
      }
      this.text(`${path}.${key.slice(0, LIMIT.metaKey)}`, value, LIMIT.metaValue);
    }
  }
}

function hasControl(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what this finds
  return /[\u0000-\u001f\u007f]|\p{Cs}/u.test(text);
}

function isHttpUrl(text: string): boolean {
  if (text.length > LIMIT.url || !URL.canParse(text)) return false;
  const { protocol } = new URL(text);
  return protocol === "http:" || protocol === "https:";
}
