import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { virtualServiceColumns } from "./columns.js";
import { lacksWeight } from "./destination.js";
import { rewriteVirtualService } from "./rewrite.js";
import { virtualServiceSpec } from "./schema.js";
import type { VirtualServiceSpec } from "./type.js";

export const virtualServiceKind: Kind<VirtualServiceSpec> = {
  group: "networking.istio.io",
  versions: ["v1", "v1beta1", "v1alpha3"],
  storageVersion: "v1",
  kind: "VirtualService",
  plural: "virtualservices",
  singular: "virtualservice",
  shortNames: ["vs"],
  categories: ["istio-io", "networking-istio-io"],
  scope: "Namespaced",
  columns: virtualServiceColumns,
  check: checkSpec({ schema: virtualServiceSpec, rewrite: rewriteVirtualService, warn }),
};

function warn(spec: VirtualServiceSpec): readonly string[] {
  const warnings: string[] = [];
  if ((spec.hosts ?? []).length === 0) {
    warnings.push(
      "spec.hosts is empty: this object is a delegate, used only where another VirtualService names it",
    );
  }
  for (const protocol of ["http", "tls", "tcp"] as const) {
    (spec[protocol] ?? []).forEach((rule, index) => {
      for (const at of lacksWeight(rule.route)) {
        warnings.push(`spec.${protocol}[${index}].route[${at}] has no weight: it gets no traffic`);
      }
    });
  }
  return warnings.slice(0, 100);
}
