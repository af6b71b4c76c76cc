import { fromBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { HeaderList } from "@tulle/http";
import { OrcaLoadReportSchema } from "@tulle/xds/gen/xds/data/orca/v3/orca_load_report_pb.js";
import { sameName } from "../route/header-value.js";
import type { LoadReport } from "./reported-loads.js";

/** A longer report is not read. */
const MAX_LENGTH = 8192;

/**
 * The load report in the headers or trailers of an answer, as Envoy and gRPC read it (ORCA): `endpoint-load-metrics` as `TEXT a=1,b=2`,
 * `JSON {…}` or `BIN` with base64, `endpoint-load-metrics-bin` in base64. Undefined when there is none, or none that can be read.
 */
export function readLoadReport(headers: HeaderList): LoadReport | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    // Few names are as long: nearly always this is all.
    if (name.length !== TEXT_HEADER.length && name.length !== BINARY_HEADER.length) continue;
    const value = headers[index + 1]!;
    if (value.length > MAX_LENGTH) continue;
    if (sameName(name, BINARY_HEADER)) return fromBytes(value);
    if (!sameName(name, TEXT_HEADER)) continue;
    const format = value.slice(0, 5).toUpperCase();
    if (format === "TEXT ") return fromText(value.slice(5));
    if (format === "JSON ") return fromJson(value.slice(5));
    if (format.startsWith("BIN ")) return fromBytes(value.slice(4));
  }
  return undefined;
}

const TEXT_HEADER = "endpoint-load-metrics";
const BINARY_HEADER = "endpoint-load-metrics-bin";

function fromText(text: string): LoadReport | undefined {
  const fields: Record<string, unknown> = {};
  for (const part of text.split(",")) {
    const equals = part.indexOf("=");
    if (equals < 0) return undefined;
    const value = part.slice(equals + 1).trim();
    fields[part.slice(0, equals).trim()] = value === "" ? Number.NaN : Number(value);
  }
  return fromFields(fields);
}

function fromJson(text: string): LoadReport | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return typeof value === "object" && value !== null
    ? fromFields(value as Record<string, unknown>)
    : undefined;
}

function fromBytes(base64: string): LoadReport | undefined {
  try {
    const report = fromBinary(OrcaLoadReportSchema, base64Decode(base64.trim()));
    const { applicationUtilization, cpuUtilization, rpsFractional, eps } = report;
    return checked(applicationUtilization, cpuUtilization, rpsFractional, eps);
  } catch {
    return undefined;
  }
}

/** Names of fields as in the message, or as JSON writes them. */
function fromFields(fields: Record<string, unknown>): LoadReport | undefined {
  const field = (name: string, json: string): unknown => {
    const key = [name, json].find((candidate) => Object.hasOwn(fields, candidate));
    return key === undefined ? 0 : fields[key];
  };
  return checked(
    field("application_utilization", "applicationUtilization"),
    field("cpu_utilization", "cpuUtilization"),
    field("rps_fractional", "rpsFractional"),
    field("eps", "eps"),
  );
}

function checked(
  application: unknown,
  cpu: unknown,
  requests: unknown,
  errors: unknown,
): LoadReport | undefined {
  if (!isFigure(application) || !isFigure(cpu) || !isFigure(requests) || !isFigure(errors)) return undefined;
  return {
    utilization: application > 0 ? application : cpu,
    requestsPerSecond: requests,
    errorsPerSecond: errors,
  };
}

function isFigure(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
