import { SECRET_TYPE } from "@tulle/xds";
import { SecretSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { decode } from "./any.js";
import { invalid } from "./invalid.js";
import { ResourceParts } from "./resource-parts.js";
import { compileCertificate, compileTrust, type CertificateSource, type TrustSource } from "./tls-sources.js";

/** What a Secret holds: a certificate with its key, or authorities. One object for as long as it does not change. */
export interface TlsSecret {
  readonly certificate: CertificateSource | undefined;
  readonly trust: TrustSource | undefined;
}

/** The Secrets of the control plane (SDS). */
export class Secrets {
  readonly parts = new ResourceParts<TlsSecret>(SECRET_TYPE);
  #all: ReadonlyMap<string, TlsSecret> = new Map();

  /** Every Secret by name; another map after every change, the same one without. */
  get all(): ReadonlyMap<string, TlsSecret> {
    const now = new Map<string, TlsSecret>();
    for (const name of this.parts.names()) now.set(name, this.parts.get(name)!);
    const same = now.size === this.#all.size && [...now].every(([name, one]) => this.#all.get(name) === one);
    if (!same) this.#all = now;
    return this.#all;
  }

  apply(name: string, version: string, bytes: Uint8Array): void {
    const secret = this.parts.unchanged(name, bytes) ?? compileSecret(name, bytes);
    this.parts.set(name, version, bytes, secret);
  }
}

function compileSecret(name: string, bytes: Uint8Array): TlsSecret {
  const message = decode("secret", SecretSchema, bytes);
  if (message.name !== name)
    throw invalid("name", `is ${JSON.stringify(message.name)} in the resource ${JSON.stringify(name)}`);
  switch (message.type.case) {
    case "tlsCertificate":
      return { certificate: compileCertificate("tls_certificate", message.type.value), trust: undefined };
    case "validationContext": {
      const trust = compileTrust("validation_context", message.type.value);
      if (trust === undefined) throw invalid("validation_context.trusted_ca", "must be set");
      return { certificate: undefined, trust };
    }
    default:
      throw invalid("type", "must be a tls_certificate or a validation_context");
  }
}
