import type { z } from "zod";
import { ageColumn } from "../age.js";
import type { Column, Kind } from "../kind.js";
import { isHostname } from "../schema/hosts.js";
import { mapOf } from "../schema/labels.js";
import { namespaceName } from "../schema/namespaces.js";
import { MAX_STRING, stringThat } from "../schema/strings.js";
import { checkSpec, type SpecRules } from "../schema/check.js";
import { CONSUL_GROUP } from "./type.js";

export const serviceName = stringThat(
  (value) => isHostname(value) && !value.includes("."),
  'the name of a service such as "web"',
);

/** The form of subsets' names. */
export function isSubsetName(value: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(value);
}

export const subsetName = stringThat(isSubsetName, 'the name of a subset such as "v1"');

/** A field that only means something where there are several of what there is one of here. */
function nothing(why: string): z.ZodType<string> {
  return stringThat((value) => value === "", `nothing: ${why}`);
}

const ONE_DATACENTER = "a mesh of Tulle has one datacenter, without peers and sameness groups";

/** What leads out of the mesh: accepted only where it says nothing. */
export const elsewhere = {
  datacenter: nothing(ONE_DATACENTER).exactOptional(),
  peer: nothing(ONE_DATACENTER).exactOptional(),
  samenessGroup: nothing(ONE_DATACENTER).exactOptional(),
};

export const partition = stringThat(
  (value) => value === "" || value === "default",
  '"default": there are no other admin partitions',
);

/** A service, its subset, its namespace. */
export const target = {
  service: serviceName.exactOptional(),
  serviceSubset: subsetName.exactOptional(),
  namespace: namespaceName.exactOptional(),
  partition: partition.exactOptional(),
};

export const meta = mapOf(
  stringThat((value) => value.length <= 512, "at most 512 characters"),
  (key) => key.length > 0 && key.length <= 128,
  "1 to 128 characters",
);

export const absolutePath = stringThat(
  (value) => /^\/[^\s#?]{0,8191}$/.test(value),
  'a path such as "/admin"',
);

/** Paths, header values and what they are compared with. */
export const operand = stringThat((value) => value.length > 0 && value.length <= MAX_STRING, "a value");

/** One of Consul's kinds: `ServiceRouter`, in the group of Consul's custom resources. */
export function consulKind<Spec>(
  kind: string,
  rules: SpecRules<Spec>,
  columns: readonly Column[] = [],
): Kind<Spec> {
  const singular = kind.toLowerCase();
  return {
    group: CONSUL_GROUP,
    versions: ["v1alpha1"],
    storageVersion: "v1alpha1",
    kind,
    plural: singular.endsWith("s") ? singular : `${singular}s`,
    singular,
    shortNames: [],
    categories: ["consul"],
    scope: "Namespaced",
    columns: [...columns, ageColumn],
    check: checkSpec(rules),
  };
}
