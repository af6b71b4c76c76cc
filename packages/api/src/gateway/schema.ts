import { z } from "zod";
import { isIpAddress } from "../schema/addresses.js";
import { isHostname, isWildcard } from "../schema/hosts.js";
import { labels } from "../schema/labels.js";
import { isDnsLabel } from "../schema/namespaces.js";
import { port } from "../schema/numbers.js";
import { label, nonEmpty, stringThat } from "../schema/strings.js";
import { cipherSuite } from "../schema/tls-parameters.js";
import { isFields, struct, structsOf, unique, type Fields, type Rule } from "../schema/struct.js";
import type { GatewaySpec } from "./type.js";

const PROTOCOLS = ["HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "MONGO"];
const PLAIN_HTTP = ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"];

const file = stringThat((value) => value.startsWith("/"), "an absolute path");
const files = {
  serverCertificate: file.exactOptional(),
  privateKey: file.exactOptional(),
  caCertificates: file.exactOptional(),
};
const minVersion = z.enum(["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]).exactOptional();
/** With an older one nothing would be left: see the warning about minProtocolVersion. */
const maxVersion = z.enum(["TLS_AUTO", "TLSV1_2", "TLSV1_3"]).exactOptional();
const hash = stringThat(
  (value) => /^(?:[0-9a-fA-F]{64}|(?:[0-9a-fA-F]{2}:){31}[0-9a-fA-F]{2})$/.test(value),
  "the SHA-256 of a certificate: 64 hexadecimal digits, or 32 pairs of them with colons between",
);
const spki = stringThat(
  (value) => /^[A-Za-z0-9+/]{43}=$/.test(value),
  "the SHA-256 of a public key in base64: 44 characters",
);

const given = (fields: Fields, name: string): boolean =>
  Array.isArray(fields[name]) ? fields[name].length > 0 : fields[name] !== undefined;

/** Where a certificate may come from; a server has one of these. */
const SOURCES = ["serverCertificate", "credentialName", "credentialNames", "tlsCertificates"];
/** What is asked of clients' certificates. */
const CLIENT_CHECKS = ["subjectAltNames", "verifyCertificateSpki", "verifyCertificateHash", "caCrl"];

const certificates: Rule = (fields, report) => {
  const mode = fields["mode"];
  if (typeof mode !== "string") return;
  const sources = SOURCES.filter((name) => given(fields, name));
  const ends = mode === "SIMPLE" || mode === "MUTUAL" || mode === "OPTIONAL_MUTUAL";
  if (!ends) {
    for (const name of [
      ...sources,
      "privateKey",
      "caCertificates",
      "caCertCredentialName",
      ...CLIENT_CHECKS,
    ]) {
      if (given(fields, name)) report([name], `cannot be given with mode ${mode}`);
    }
    return;
  }
  if (sources.length === 0) {
    report([], `needs a certificate with mode ${mode}: credentialName, or serverCertificate and privateKey`);
  } else if (sources.length > 1) {
    report([], `cannot have ${sources.join(" and ")} together; keep one of them`);
  }
  if (given(fields, "serverCertificate") !== given(fields, "privateKey")) {
    const [missing] = ["serverCertificate", "privateKey"].filter((name) => !given(fields, name));
    if (missing !== undefined) report([missing], "is required: a certificate and its key go together");
  }
  if (mode === "SIMPLE") {
    for (const name of ["caCertCredentialName", ...CLIENT_CHECKS]) {
      if (given(fields, name))
        report([name], "is about clients' certificates, which mode SIMPLE does not ask for: use MUTUAL");
    }
    return;
  }
  const fromSecret = given(fields, "credentialName") || given(fields, "credentialNames");
  const inFiles =
    given(fields, "caCertificates") ||
    structsOf(fields["tlsCertificates"]).some(([, each]) => given(each, "caCertificates"));
  if (!fromSecret && !inFiles && !given(fields, "caCertCredentialName") && sources.length > 0) {
    report(
      ["caCertificates"],
      `is required with mode ${mode}: clients' certificates are verified against it`,
    );
  }
};

const VERSIONS = ["TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"];

const versionsInOrder: Rule = (fields, report) => {
  const min = VERSIONS.indexOf(String(fields["minProtocolVersion"]));
  const max = VERSIONS.indexOf(String(fields["maxProtocolVersion"]));
  if (min >= 0 && max >= 0 && min > max) report(["minProtocolVersion"], "is above maxProtocolVersion");
};

const serverTls = struct(
  {
    httpsRedirect: z.boolean().exactOptional(),
    mode: z
      .enum(["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"])
      .exactOptional(),
    ...files,
    caCrl: file.exactOptional(),
    credentialName: label.exactOptional(),
    credentialNames: z
      .array(label)
      .refine((list) => list.length <= 2, { error: "must have at most two: one for each type of key" })
      .exactOptional(),
    caCertCredentialName: label.exactOptional(),
    tlsCertificates: z
      .array(struct({ serverCertificate: file, privateKey: file, caCertificates: file.exactOptional() }))
      .refine((list) => list.length <= 2, { error: "must have at most two: one for each type of key" })
      .exactOptional(),
    subjectAltNames: z.array(nonEmpty).exactOptional(),
    verifyCertificateSpki: z.array(spki).exactOptional(),
    verifyCertificateHash: z.array(hash).exactOptional(),
    minProtocolVersion: minVersion,
    maxProtocolVersion: maxVersion,
    cipherSuites: z.array(cipherSuite).exactOptional(),
  },
  certificates,
  versionsInOrder,
);

/** `host` or `namespace/host`. */
function isServedHost(value: string): boolean {
  const slash = value.indexOf("/");
  const namespace = slash === -1 ? "*" : value.slice(0, slash);
  const host = value.slice(slash + 1);
  const isNamespace = namespace === "." || namespace === "*" || isDnsLabel(namespace);
  return isNamespace && (isHostname(host) || isWildcard(host)) && !isIpAddress(host);
}

/** TLS goes with the protocols that have it. */
const tlsFitsProtocol: Rule = (fields, report) => {
  const protocol = isFields(fields["port"]) ? String(fields["port"]["protocol"]).toUpperCase() : "";
  const tls = isFields(fields["tls"]) ? fields["tls"] : undefined;
  const redirects = tls?.["httpsRedirect"] === true;
  if (protocol === "HTTPS" || protocol === "TLS") {
    if (tls === undefined) report(["tls"], `is required with protocol ${protocol}`);
    if (redirects) report(["tls", "httpsRedirect"], "is for HTTP servers: this one has HTTPS already");
    const mode = tls?.["mode"];
    if (tls !== undefined && mode === undefined) {
      report(["tls", "mode"], `is required with protocol ${protocol}: SIMPLE, to end TLS here`);
    }
    if (protocol === "HTTPS" && mode === "AUTO_PASSTHROUGH") {
      report(["tls", "mode"], "AUTO_PASSTHROUGH is for protocol TLS");
    }
    return;
  }
  if (PLAIN_HTTP.includes(protocol) && tls !== undefined && !redirects) {
    report(["tls"], `has no effect with protocol ${protocol}: use HTTPS, or httpsRedirect alone`);
  }
  if (protocol === "HTTP" || !redirects) return;
  report(["tls", "httpsRedirect"], `is for protocol HTTP, not ${protocol}`);
};

/** Two servers of one object on the same port and address must be told apart. */
const serversToldApart: Rule = (fields, report) => {
  const seen = new Map<string, number>();
  for (const [index, server] of structsOf(fields["servers"])) {
    const where = isFields(server["port"]) ? server["port"] : {};
    const hosts = Array.isArray(server["hosts"]) ? server["hosts"] : [];
    for (const [place, host] of hosts.entries()) {
      const key = JSON.stringify([where["number"], server["bind"] ?? "", String(host).toLowerCase()]);
      const first = seen.get(key);
      if (first === undefined) seen.set(key, index);
      else if (first !== index)
        report(["servers", index, "hosts", place], `is a host of servers[${first}] on the same port`);
    }
  }
};

/** The name of a port is told from others of the object by. */
const distinctNames: Rule = (fields, report) => {
  const seen = new Map<unknown, number>();
  for (const [index, server] of structsOf(fields["servers"])) {
    const name = isFields(server["port"]) ? server["port"]["name"] : undefined;
    const first = seen.get(name);
    if (name === undefined) continue;
    if (first === undefined) seen.set(name, index);
    else
      report(
        ["servers", index, "port", "name"],
        `repeats servers[${first}].port.name; each must be different`,
      );
  }
};

/** Istio's Gateway, every documented field. */
export const gatewaySpec: z.ZodType<GatewaySpec> = struct(
  {
    selector: labels.exactOptional(),
    servers: z
      .array(
        struct(
          {
            port: struct({
              number: port,
              protocol: stringThat(
                (value) => PROTOCOLS.includes(value.toUpperCase()),
                `one of ${PROTOCOLS.join(", ")}`,
              ),
              name: label,
            }),
            bind: stringThat(isIpAddress, "an IP address").exactOptional(),
            hosts: z
              .array(
                stringThat(
                  isServedHost,
                  'a host or namespace/host, such as "shop.example.com" or "./*.example.com"',
                ),
              )
              .refine((list) => list.length > 0, { error: "must have at least one host" }),
            tls: serverTls.exactOptional(),
            name: label.exactOptional(),
          },
          tlsFitsProtocol,
        ),
      )
      .refine((list) => list.length > 0, { error: "must have at least one server" }),
  },
  unique("servers", "name"),
  distinctNames,
  serversToldApart,
);
