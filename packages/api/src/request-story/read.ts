import { MeshError } from "@tulle/base";

import type { ExplainedRecord, RecordedTry, RequestRecord } from "./type.js";

/** Of one proxy and one request: retries of a caller come as exchanges of their own. */
const MAX_RECORDS = 64;
const MAX_TRIES = 16;
const MAX_HEADERS = 512;
const MAX_TEXT = 1024;

/**
 * What a proxy told of a request, checked: proxies are of this mesh, and may be of another version, or lie. Throws
 * `invalid` API_BAD_RECORD that says which value is wrong.
 */
export function readRecords(value: unknown): readonly ExplainedRecord[] {
  return list(value, "records", MAX_RECORDS).map((each, index) => {
    const path = `records[${index}]`;
    const { record, explanation, explainedWith } = fields(each, path);
    return {
      record: readRecord(record, `${path}.record`),
      ...(explanation === undefined ? {} : { explanation: fields(explanation, `${path}.explanation`) }),
      ...(explainedWith === "then" || explainedWith === "now" ? { explainedWith } : {}),
    };
  });
}

function readRecord(value: unknown, path: string): RequestRecord {
  const record = new Fields(value, path);
  const request = record.inner("request");
  const owner = record.inner("owner");
  const response = record.inner("response");
  const direction = record.text("direction");
  if (direction !== "inbound" && direction !== "outbound") throw wrong(`${path}.direction`);
  return {
    requestId: record.text("requestId"),
    time: record.number("time"),
    durationMs: record.number("durationMs"),
    direction,
    kept: record.text("kept"),
    entropy: record.number("entropy"),
    snapshot: record.number("snapshot"),
    versions: record.inner("versions").texts(),
    request: {
      method: request.text("method"),
      authority: request.text("authority"),
      path: request.text("path"),
      scheme: request.text("scheme"),
      protocol: request.text("protocol"),
      headers: request.list("headers", MAX_HEADERS).map((each) => text(each, `${path}.request.headers`)),
      omittedHeaders: request.number("omittedHeaders"),
    },
    local: record.text("local"),
    remote: record.text("remote"),
    principal: record.text("principal"),
    serverName: record.text("serverName"),
    listener: record.text("listener"),
    route: record.text("route"),
    owner: { config: owner.text("config"), rule: owner.text("rule") },
    cluster: record.text("cluster"),
    tries: record.list("tries", MAX_TRIES).map((each, index) => readTry(each, `${path}.tries[${index}]`)),
    attempts: record.number("attempts"),
    response: {
      status: response.number("status"),
      flags: response.text("flags"),
      details: response.text("details"),
      grpcStatus: response.number("grpcStatus"),
      transportFailure: response.text("transportFailure"),
    },
  };
}

function readTry(value: unknown, path: string): RecordedTry {
  const each = new Fields(value, path);
  return {
    endpoint: each.text("endpoint"),
    at: each.number("at"),
    ms: each.number("ms"),
    outcome: each.text("outcome"),
    status: each.number("status"),
    detail: each.text("detail"),
  };
}

/** The members of an object, by name and type. */
class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#values = fields(value, path);
    this.#path = path;
  }

  text(name: string): string {
    return text(this.#own(name), `${this.#path}.${name}`);
  }

  number(name: string): number {
    const value = this.#own(name);
    if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(`${this.#path}.${name}`);
    return value;
  }

  list(name: string, most: number): readonly unknown[] {
    return list(this.#own(name), `${this.#path}.${name}`, most);
  }

  inner(name: string): Fields {
    return new Fields(this.#own(name), `${this.#path}.${name}`);
  }

  /** All of them, as texts. */
  texts(): Readonly<Record<string, string>> {
    const entries = Object.entries(this.#values).slice(0, MAX_TRIES);
    return Object.fromEntries(entries.map(([name, value]) => [name, text(value, `${this.#path}.${name}`)]));
  }

  #own(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
  }
}

function fields(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(path);
  return value as Readonly<Record<string, unknown>>;
}

function list(value: unknown, path: string, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw wrong(path);
  return value;
}

function text(value: unknown, path: string): string {
  if (typeof value !== "string" || value.length > MAX_TEXT) throw wrong(path);
  return value;
}

function wrong(path: string): MeshError {
  return new MeshError(
    "invalid",
    "API_BAD_RECORD",
    `${path} is not what it should be: is the proxy of another version?`,
  );
}
