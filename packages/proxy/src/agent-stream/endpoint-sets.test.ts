import { createLoadTable, createSnapshotSource } from "@tulle/engine";
import { FakeClock } from "@tulle/testkit";
import { ENDPOINT_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";

import { endpoints, serviceAt } from "../../test/resources.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { prometheusText } from "../telemetry/prometheus-text.js";
import { SidecarConfiguration } from "../xds/sidecar-configuration.js";
import { EndpointAges } from "./endpoint-sets.js";

const CLUSTER = "outbound|9080||reviews.default.svc.cluster.local";

test("EndpointAges tells when a set changed, when it was confirmed, and that it is gone", async () => {
  const clock = new FakeClock();
  const metrics = new MetricsRegistry();
  const load = createLoadTable({ maxSlots: 64 });
  const configuration = new SidecarConfiguration(createSnapshotSource({ load }), []);
  using ages = new EndpointAges({ clock, metrics, configuration });
  const told = (name: string): number[] =>
    [...prometheusText(metrics).matchAll(new RegExp(`^${name}\\{[^}]*\\} (\\S+)`, "gm"))].map(([, value]) =>
      Number(value),
    );
  const changed = (): number[] => told("tulle_endpoint_set_changed_timestamp_seconds");

  configuration.apply(serviceAt("reviews:9080", [1234]));
  const first = clock.now();
  expect(changed()).toEqual([first / 1000]);
  await clock.advance(60_000);
  // The same again is no change.
  configuration.apply([...configuration.resources()]);
  expect(ages.changedAt(CLUSTER)).toBe(first);
  configuration.apply([{ ...endpoints(CLUSTER, [{ port: 1235 }]), version: "other" }]);
  expect(changed()).toEqual([first / 1000 + 60]);
  ages.confirm(ENDPOINT_TYPE);
  expect(told("tulle_resources_confirmed_timestamp_seconds")).toEqual([first / 1000 + 60]);
  configuration.forget(ENDPOINT_TYPE, [CLUSTER]);
  expect(changed()).toEqual([0]);
});
