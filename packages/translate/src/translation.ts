import { toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { CatalogService, FindingCode, Instance, MeshObject } from "@tulle/api";
import {
  VIRTUAL_IPS_DEPENDENCY,
  type ClientView,
  type MeshReader,
  type MeshSettings,
  type Translated,
  type Untranslated,
} from "./contract.js";
import { hash64 } from "./hash.js";
import { fullHost, type ServiceId } from "./hosts.js";
import { keysDependency, type KeySource } from "./key-source.js";

/** Kinds that translation reads. */
export interface KindRef {
  readonly group: string;
  readonly kind: string;
}

const MAX_WARNINGS = 100;

/**
 * The making of one resource for one view. Every read goes through here and is recorded, so that the result says what it
 * was made from. Used once.
 */
export class Translation {
  readonly view: ClientView;
  readonly settings: MeshSettings;
  readonly #reader: MeshReader;
  readonly #dependencies = new Set<string>();
  readonly #owners = new Set<string>();
  readonly #warnings = new Set<string>();
  /** Those that no analyzer finds. */
  readonly #remarks = new Set<string>();

  constructor(reader: MeshReader, view: ClientView) {
    this.#reader = reader;
    this.view = view;
    this.settings = reader.settings;
  }

  /** Shape of a registered service. Use {@link instances} for what changes with health. */
  service(id: ServiceId): CatalogService | undefined {
    const found = this.#reader.catalog.service(id.namespace, id.name);
    this.#dependencies.add(`service:${id.namespace}/${id.name}`);
    if (found !== undefined) this.#dependencies.add(`service:${found.namespace}/${found.name}`);
    return found;
  }

  /** Instances of a service with their health. */
  instances(service: CatalogService): readonly Instance[] {
    this.#dependencies.add(`endpoints:${service.namespace}/${service.name}`);
    return service.instances;
  }

  /** All objects of a kind, ordered by namespace and name. The caller knows the kind's spec. */
  objects<Spec>(ref: KindRef): readonly MeshObject<Spec>[] {
    this.#dependencies.add(`objects:${ref.group}/${ref.kind}`);
    return this.#reader.objects(ref.group, ref.kind) as readonly MeshObject<Spec>[];
  }

  /** The virtual IP of a host in full. */
  virtualIp(host: string): string | undefined {
    this.#dependencies.add(VIRTUAL_IPS_DEPENDENCY);
    return this.#reader.virtualIp?.(host);
  }

  /** The public keys of an issuer of tokens; undefined while they are not here. */
  tokenKeys(source: KeySource): string | undefined {
    this.#dependencies.add(keysDependency(source));
    return this.#reader.tokenKeys?.(source);
  }

  /** Every registered service. Only who exists is recorded, not what the services look like. */
  registeredServices(): readonly ServiceId[] {
    this.#dependencies.add(VIRTUAL_IPS_DEPENDENCY);
    return Array.from(this.#reader.catalog.services(), ({ namespace, name }) => ({ namespace, name }));
  }

  /** Registered services with their virtual IPs, by host. Nothing but who has which address is recorded. */
  servicesWithVirtualIp(): readonly { readonly id: ServiceId; readonly host: string; readonly ip: string }[] {
    const found: { id: ServiceId; host: string; ip: string }[] = [];
    for (const id of this.registeredServices()) {
      const host = fullHost(id, this.settings.domainSuffix);
      const ip = this.virtualIp(host);
      if (ip !== undefined) found.push({ id, host, ip });
    }
    return found.sort((left, right) => (left.host < right.host ? -1 : 1));
  }

  /** Notes that an object shaped the resource. */
  own(object: MeshObject): void {
    this.#owners.add(`${object.kind}/${object.metadata.namespace}/${object.metadata.name}`);
  }

  /** Objects that were noted so far, sorted. */
  owners(): readonly string[] {
    return sorted(this.#owners);
  }

  /** Notes something that a user should know. At most 100 are kept. */
  warn(message: string): void {
    if (this.#warnings.size < MAX_WARNINGS) this.#warnings.add(message);
    if (this.#remarks.size < MAX_WARNINGS) this.#remarks.add(message);
  }

  /** The same of something that analysis of the configuration finds by itself, under `_code`. */
  warnOf(_code: FindingCode, message: string): void {
    if (this.#warnings.size < MAX_WARNINGS) this.#warnings.add(message);
  }

  /** Encodes the result. */
  finish<Desc extends DescMessage>(
    typeUrl: string,
    name: string,
    schema: Desc,
    message: MessageShape<Desc>,
  ): Translated {
    const bytes = toBinary(schema, message);
    return {
      resource: { typeUrl, name, version: hash64(bytes), bytes },
      dependencies: sorted(this.#dependencies),
      owners: sorted(this.#owners),
      warnings: sorted(this.#warnings),
      remarks: sorted(this.#remarks),
    };
  }

  /** The name means nothing in this view. */
  nothing(): Untranslated {
    return { resource: undefined, dependencies: sorted(this.#dependencies) };
  }
}

function sorted(values: Iterable<string>): string[] {
  return [...values].sort();
}
