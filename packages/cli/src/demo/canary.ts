import { readFile } from "node:fs/promises";

import { findKind, parseObjects, type Kind, type VirtualServiceSpec } from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { Client } from "@tulle/client";

/** Applies the objects of a file, as `tulle apply -f` does. */
export async function applyFile(client: Client, file: string): Promise<void> {
  const { objects, problems } = parseObjects(await readFile(file, "utf8"), file);
  const [problem] = problems;
  if (problem !== undefined) throw new MeshError("invalid", "CLI_DEMO_CANARY", problem.message);
  for (const { kind, object } of objects) await client.resources.apply(kind, object);
}

/** Share of v2 that the VirtualService `reviews` asks for among visitors without the header, 0 to 1. */
export async function configuredShare(client: Client): Promise<number> {
  const route = canaryRoute(await readSpec(client));
  const total = route.reduce((sum, { weight = 0 }) => sum + weight, 0);
  const v2 = route.reduce(
    (sum, { weight = 0, destination }) => sum + (destination.subset === "v2" ? weight : 0),
    0,
  );
  return total === 0 ? 0 : v2 / total;
}

/** Gives v2 that many points of a hundred, as `kubectl patch` would. */
export async function setShare(client: Client, points: number): Promise<void> {
  const spec = await readSpec(client);
  const http = (spec.http ?? []).map((rule) =>
    rule.name === "canary"
      ? {
          ...rule,
          route: (rule.route ?? []).map((each) => ({
            ...each,
            weight: each.destination.subset === "v2" ? points : 100 - points,
          })),
        }
      : rule,
  );
  await client.resources.patch(virtualService(), { name: "reviews" }, { spec: { http } });
}

async function readSpec(client: Client): Promise<VirtualServiceSpec> {
  const object = await client.resources.get(virtualService(), { name: "reviews" });
  return object.spec as VirtualServiceSpec;
}

function virtualService(): Kind {
  return findKind("networking.istio.io", "VirtualService")!;
}

function canaryRoute(
  spec: VirtualServiceSpec,
): NonNullable<NonNullable<VirtualServiceSpec["http"]>[0]["route"]> {
  const rule = spec.http?.find((each) => each.name === "canary");
  if (rule?.route === undefined) {
    throw new MeshError(
      "not-found",
      "CLI_DEMO_CANARY",
      "the VirtualService reviews has no rule named canary any more",
    );
  }
  return rule.route;
}
