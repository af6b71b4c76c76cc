import type { z } from "zod";
import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column, Kind } from "../kind.js";
import { checkSpec, refused } from "../schema/check.js";
import { isFields } from "../schema/struct.js";
import { DEFAULT_MESH, KUMA_GROUP, MESH_LABEL } from "./names.js";
import type { KumaDestination, KumaPolicySpec } from "./type.js";

interface Targeting extends KumaPolicySpec {
  readonly to?: readonly { readonly targetRef: KumaDestination }[];
}

/** What one of Kuma's policies has that others have not. */
export interface PolicyKind<Spec> {
  readonly kind: string;
  readonly plural: string;
  readonly schema: z.ZodType<Spec>;
  /** What of a valid spec is not carried out, field by field. */
  readonly warn?: (spec: Spec) => readonly string[];
}

/** A kind of Kuma's policies. */
export function policyKind<Spec extends Targeting>({ kind, plural, ...rules }: PolicyKind<Spec>): Kind<Spec> {
  const checkContent = checkSpec(rules);
  return {
    group: KUMA_GROUP,
    versions: ["v1alpha1"],
    storageVersion: "v1alpha1",
    kind,
    plural,
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: ["kuma"],
    scope: "Namespaced",
    columns: policyColumns,
    check: (raw) => {
      const checked = checkContent(raw);
      const mesh = meshOf(raw);
      if (mesh === undefined || mesh === DEFAULT_MESH) return checked;
      const path = `metadata.labels["${MESH_LABEL}"]`;
      const foreign = { path, message: `must be "${DEFAULT_MESH}": there is one mesh, of that name` };
      return refused([...(checked.ok ? [] : checked.violations), foreign], checked.warnings);
    },
  };
}

function meshOf({ metadata }: Readonly<Record<string, unknown>>): unknown {
  const labels = isFields(metadata) ? metadata["labels"] : undefined;
  return isFields(labels) ? labels[MESH_LABEL] : undefined;
}

/** TARGETREF TO AGE. */
const policyColumns: readonly Column[] = [
  textColumn<Targeting>("TargetRef", "Whose proxies it is for.", ({ spec: { targetRef } }) =>
    [targetRef?.kind ?? "Mesh", targetRef?.name].filter((part) => part !== undefined).join("/"),
  ),
  textColumn<Targeting>("To", "Calls of which services it is for.", ({ spec }) =>
    (spec.to ?? []).map(({ targetRef }) => called(targetRef)).join(","),
  ),
  ageColumn,
];

function called({ kind, name, labels }: KumaDestination): string {
  return name ?? labels?.["kuma.io/display-name"] ?? kind;
}
