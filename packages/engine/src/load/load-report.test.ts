import { create, toBinary } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { OrcaLoadReportSchema } from "@tulle/xds/gen/xds/data/orca/v3/orca_load_report_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readLoadReport } from "./load-report.js";

const report = { utilization: 0.5, requestsPerSecond: 20, errorsPerSecond: 1 };
const binary = base64Encode(
  toBinary(
    OrcaLoadReportSchema,
    create(OrcaLoadReportSchema, { cpuUtilization: 0.5, rpsFractional: 20, eps: 1, memUtilization: 0.1 }),
  ),
);

test.each([
  ["endpoint-load-metrics", "TEXT cpu_utilization=0.5, rps_fractional=20.0,eps=1,named_metrics.queue=7"],
  ["Endpoint-Load-Metrics", 'JSON {"cpu_utilization": 0.5, "rps_fractional": 20, "eps": 1}'],
  ["endpoint-load-metrics", 'json {"cpuUtilization": 0.5, "rpsFractional": 20, "eps": 1, "utilization": {}}'],
  ["endpoint-load-metrics-bin", binary],
  ["endpoint-load-metrics", `BIN ${binary}`],
])("readLoadReport reads %s: %s", (name, value) => {
  expect(readLoadReport(["x-served-by-someone-42", "1", name, value])).toEqual(report);
});

test("readLoadReport prefers what the application says to the use of the processor", () => {
  const headers = ["endpoint-load-metrics", "TEXT cpu_utilization=0.9,application_utilization=0.2"];
  expect(readLoadReport(headers)).toEqual({ utilization: 0.2, requestsPerSecond: 0, errorsPerSecond: 0 });
});

test.each([
  "cpu_utilization=0.5",
  "TEXT cpu_utilization",
  "TEXT cpu_utilization=",
  "TEXT cpu_utilization=-1",
  "TEXT cpu_utilization=NaN",
  "TEXT cpu_utilization=Infinity",
  'JSON {"cpu_utilization": "0.5"}',
  "JSON [1",
  "JSON null",
  "BIN ###",
  `TEXT ${"a=1,".repeat(3000)}cpu_utilization=1`,
])("readLoadReport reads nothing of %s", (value) => {
  expect(readLoadReport(["endpoint-load-metrics", value])).toBeUndefined();
});

test("readLoadReport takes any text and gives figures or nothing", () => {
  const text = fc.oneof(
    fc.string(),
    fc.string().map((rest) => `TEXT cpu_utilization=${rest}`),
    fc.json().map((json) => `JSON ${json}`),
    fc.base64String().map((bytes) => `BIN ${bytes}`),
  );
  fc.assert(
    fc.property(
      fc.constantFrom("endpoint-load-metrics", "endpoint-load-metrics-bin"),
      text,
      (name, value) => {
        const read = readLoadReport([name, value]);
        for (const figure of Object.values(read ?? {})) {
          expect(Number.isFinite(figure)).toBe(true);
          expect(figure).toBeGreaterThanOrEqual(0);
        }
      },
    ),
  );
});
