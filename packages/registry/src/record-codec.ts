import type { CheckDefinition, CheckStatus, NodeDefinition, ServiceDefinition } from "./definition.js";
import type { CheckState, NodeState, ServiceState } from "./state.js";

/** Key of the high-water mark of the change index. */
export const INDEX_KEY = "index";

export interface CheckRecord {
  readonly definition: CheckDefinition;
  readonly status: CheckStatus;
  readonly output: string;
  readonly silent?: boolean;
}
export interface ServiceRecord {
  readonly node: string;
  readonly definition: ServiceDefinition;
  readonly checks: readonly CheckRecord[];
}
export interface NodeRecord {
  readonly definition: NodeDefinition;
  readonly checks: readonly CheckRecord[];
}

/** Largest record of a registration, bytes: leaves room for outputs within the store's 1 MiB. */
export const MAX_RECORD_BYTES = 524_288;
const STORED_OUTPUT_LENGTH = 1024;

/** Raised when a change of the format cannot be read by what came before. */
const FORMAT = 1;

/** In place of a node's name: the node of this process, however it is called. Encoded names do not hold `@`. */
const OWN = "@";

/** Names come from users: encoded, they can hold neither `/` nor `..`. `node` undefined = the own one. */
export function serviceRecordKey(node: string | undefined, namespace: string, id: string): string {
  return `services/${node === undefined ? OWN : encode(node.toLowerCase())}/${encode(namespace)}/${encode(id)}`;
}

export function nodeRecordKey(node: string | undefined): string {
  return `nodes/${node === undefined ? OWN : encode(node.toLowerCase())}`;
}

export function isOwnServiceKey(key: string): boolean {
  return key.startsWith(`services/${OWN}/`);
}

export function isOwnNodeKey(key: string): boolean {
  return key === nodeRecordKey(undefined);
}

function encode(segment: string): string {
  return encodeURIComponent(segment).replaceAll(".", "%2E");
}

export function encodeService({
  node,
  definition,
  checks,
}: Omit<ServiceState, "createIndex" | "modifyIndex">): Buffer {
  return encodeRecord({ node: node.definition.name, definition, checks: checkRecords(checks) });
}

export function encodeNode({ definition, checks }: Pick<NodeState, "definition" | "checks">): Buffer {
  return encodeRecord({ definition, checks: checkRecords(checks) });
}

export function encodeIndex(index: number): Buffer {
  return encodeRecord({ index });
}

/** What `encodeService` wrote, or undefined when it is damaged or of another format. */
export function decodeService(value: Uint8Array): ServiceRecord | undefined {
  return decodeRecord(value) as ServiceRecord | undefined;
}

/** What `encodeNode` wrote, or undefined when it is damaged or of another format. */
export function decodeNode(value: Uint8Array): NodeRecord | undefined {
  return decodeRecord(value) as NodeRecord | undefined;
}

/** What `encodeIndex` wrote, or undefined when it is damaged or of another format. */
export function decodeIndex(value: Uint8Array): number | undefined {
  return (decodeRecord(value) as { readonly index: number } | undefined)?.index;
}

function decodeRecord(value: Uint8Array): object | undefined {
  try {
    const record = JSON.parse(Buffer.from(value).toString("utf8")) as { readonly format?: number } | null;
    return record?.format === FORMAT ? record : undefined;
  } catch {
    return undefined;
  }
}

function encodeRecord(record: object): Buffer {
  return Buffer.from(JSON.stringify({ format: FORMAT, ...record }));
}

function checkRecords(checks: ReadonlyMap<string, CheckState>): CheckRecord[] {
  return [...checks.values()].map(({ definition, status, output, silent }) => ({
    definition,
    status,
    output: output.slice(0, STORED_OUTPUT_LENGTH),
    ...(silent === true ? { silent } : {}),
  }));
}
