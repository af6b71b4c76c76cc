import { expect, test } from "vitest";
import {
  UNHEALTHY_CHECK,
  UNHEALTHY_DEGRADED,
  UNHEALTHY_EJECTED,
  UNHEALTHY_PROBATION,
  UNHEALTHY_PROBE_WANTED,
} from "../contract.js";
import { takeProbe } from "../outlier/probation.js";
import { balanced, hostOf } from "../testing/balanced.js";

const TWO = [{ address: "10.0.0.1" }, { address: "10.0.0.2" }];
const ACCRUAL = {
  outlierDetection: {},
  metadata: { filterMetadata: { "tulle.dev": { failureAccrual: { jitterRatio: 0.5 } } } },
};

function onProbation(cluster: object = ACCRUAL) {
  const mesh = balanced(TWO, cluster);
  const slot = mesh.slotOf("10.0.0.1");
  for (const bit of [UNHEALTHY_EJECTED, UNHEALTHY_PROBATION, UNHEALTHY_PROBE_WANTED])
    mesh.load.setUnhealthy(slot, bit, true);
  const picked = (attempt: object): string =>
    hostOf(mesh.pick(1, { attempts: 0, triedSlots: [], ...attempt }));
  return { mesh, slot, picked };
}

test("the next request goes to the endpoint on probation, and after it none until it has been judged", () => {
  const { mesh, picked } = onProbation();
  expect(picked({ probes: true })).toBe("10.0.0.1");
  const part = mesh.source.current.cluster("c")!;
  expect(takeProbe(mesh.load, part, part.endpoints[0]!)).toBe(true);
  expect(picked({ probes: true })).toBe("10.0.0.2");
});

test("a degraded endpoint may be on probation, one whose check fails is not asked", () => {
  const { mesh, slot, picked } = onProbation();
  mesh.load.setUnhealthy(slot, UNHEALTHY_DEGRADED, true);
  expect(picked({ probes: true })).toBe("10.0.0.1");
  mesh.load.setUnhealthy(slot, UNHEALTHY_CHECK, true);
  expect(picked({ probes: true })).toBe("10.0.0.2");
});

test("what nobody looks at the answer of decides nothing, nor a try of who has been there", () => {
  const { slot, picked } = onProbation();
  expect(picked({})).toBe("10.0.0.2");
  expect(picked({ probes: true, attempts: 1, triedSlots: [slot] })).toBe("10.0.0.2");
});

test("the requests of a cluster without failure accrual do not go to an endpoint that another one ejected", () => {
  const { mesh, picked } = onProbation({ outlierDetection: {} });
  expect(picked({ probes: true })).toBe("10.0.0.2");
  const part = mesh.source.current.cluster("c")!;
  expect(takeProbe(mesh.load, part, part.endpoints[0]!)).toBe(false);
});

test("of a cluster whose only endpoint is on probation one request goes there and the others fail", () => {
  const mesh = balanced(TWO.slice(0, 1), ACCRUAL);
  const slot = mesh.slotOf("10.0.0.1");
  mesh.load.setUnhealthy(slot, UNHEALTHY_EJECTED, true);
  expect(mesh.pick(1, { probes: true })).toMatchObject({ flag: "UH" });
  mesh.load.setUnhealthy(slot, UNHEALTHY_PROBATION, true);
  mesh.load.setUnhealthy(slot, UNHEALTHY_PROBE_WANTED, true);
  expect(mesh.pick(1, { probes: true })).toMatchObject({ host: "10.0.0.1" });
  expect(mesh.load.takeUnhealthy(slot, UNHEALTHY_PROBE_WANTED)).toBe(true);
  expect(mesh.pick(1, { probes: true })).toMatchObject({ flag: "UH" });
});
