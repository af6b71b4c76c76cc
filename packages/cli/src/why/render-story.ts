import type { RequestHop, RequestRecord, RequestStory } from "@tulle/api";
import pc from "picocolors";

import { terminalText } from "../output/terminal-text.js";
import { proxyName } from "../resources/proxies.js";
import { causeOf } from "./cause.js";
import { clusterInWords, ownerInWords } from "./names.js";
import { clusterOf, limitsOf, reasonsOf } from "./reasons.js";
import { flagsInWords } from "./response-flags.js";
import { tryInWords } from "./try-words.js";

const LABEL_WIDTH = 9;

/** What became of a request, for people: hop by hop, then the cause and what to do. */
export function renderStory(story: RequestStory, colors: boolean): string {
  const { bold, red } = pc.createColors(colors);
  const [first] = story.hops;
  if (first === undefined) return "";
  const { request, time } = first.record;
  const lines = [
    bold(terminalText(`Request ${story.requestId}: ${request.method} ${request.authority}${request.path}`)),
    terminalText(`${outcomeOf(first.record)} at ${new Date(time).toISOString()}`),
  ];
  for (const hop of story.hops) lines.push("", ...hopLines(hop, first.record, bold));
  const cause = causeOf(story);
  if (cause !== undefined) {
    lines.push("", `${red(label("Cause:"))}${terminalText(cause.text)}`);
    lines.push(`${label("Next:")}${terminalText(cause.next)}`);
  }
  if (story.silent.length > 0)
    lines.push(
      "",
      ...story.silent.map(({ proxy, reason }) => terminalText(`No word from ${proxyName(proxy)}: ${reason}`)),
    );
  return `${lines.join("\n")}\n`;
}

function hopLines(hop: RequestHop, first: RequestRecord, bold: (text: string) => string): readonly string[] {
  const { proxy, record, depth } = hop;
  const indent = "  ".repeat(Math.min(depth, 8));
  const way = record.direction === "outbound" ? "calls" : "is called";
  const title = `${proxy.service} ${way}, in ${proxyName(proxy.id)}: ${outcomeOf(record)}`;
  const lines: (readonly [string, string])[] = [
    ...requestLines(record, first),
    ...caller(record),
    ...routeLines(record),
    ...reasonLines(hop),
    ...limitLines(hop),
    ...tryLines(record),
    ...flagsInWords(record.response.flags).map((words) => ["flag", words] as const),
  ];
  if (record.response.details !== "" && record.response.details !== "via_upstream")
    lines.push(["details", record.response.details]);
  return [
    `${indent}${bold(terminalText(title))}`,
    ...lines.map(([name, value]) => `${indent}  ${label(name)}${terminalText(value)}`),
  ];
}

/** Nothing where the same request came a hop further. */
function requestLines(
  { request }: RequestRecord,
  first: RequestRecord,
): readonly (readonly [string, string])[] {
  const { method, authority, path } = request;
  const same =
    method === first.request.method && path === first.request.path && authority === first.request.authority;
  return same ? [] : [["request", `${method} ${authority}${path}`]];
}

function outcomeOf({ response, durationMs }: RequestRecord): string {
  const { status, flags, grpcStatus } = response;
  const grpc = grpcStatus >= 0 ? `, gRPC status ${grpcStatus}` : "";
  const answer = status === 0 ? "not answered" : `answered ${status}${grpc}`;
  return `${answer}${flags === "" ? "" : ` (${flags})`} after ${durationMs} ms`;
}

function caller({ direction, principal, remote }: RequestRecord): readonly (readonly [string, string])[] {
  if (direction === "outbound") return [];
  return [["from", principal === "" ? `${remote}, in plaintext` : principal]];
}

function routeLines({ route, owner, cluster }: RequestRecord): readonly (readonly [string, string])[] {
  if (route === "" && cluster === "") return [];
  const name = ownerInWords(owner) || route || "(unnamed)";
  return [["route", `${name}${cluster === "" ? "" : `, to ${clusterInWords(cluster)}`}`]];
}

function reasonLines({
  record,
  explanation,
  explainedWith,
}: RequestHop): readonly (readonly [string, string])[] {
  const reasons = reasonsOf(explanation).map((text) => ["why", text] as const);
  if (reasons.length === 0) return [];
  const lines: (readonly [string, string])[] = [...reasons];
  if (explainedWith === "now")
    lines.push(["", "(by the configuration of now: that of then is not held any more)"]);
  const again = clusterOf(explanation);
  if (again !== "" && record.cluster !== "" && again !== record.cluster)
    lines.push([
      "",
      `(decided again it goes to ${clusterInWords(again)}: the configuration changed, or what decided was not recorded, such as a cookie)`,
    ]);
  if (record.request.omittedHeaders > 0)
    lines.push([
      "",
      `(${record.request.omittedHeaders} header fields were not recorded; a route that looks at them may differ)`,
    ]);
  return lines;
}

/** What the route allows, where that may be why there was no answer. */
function limitLines({ record, explanation }: RequestHop): readonly (readonly [string, string])[] {
  const limits = record.direction === "outbound" && record.tries.length > 0 ? limitsOf(explanation) : "";
  return limits === "" ? [] : [["limits", limits]];
}

function tryLines({ tries, attempts }: RequestRecord): readonly (readonly [string, string])[] {
  const lines = tries.map((each, index) => {
    // With many tries the first ones and the newest are kept.
    const number = index === tries.length - 1 ? attempts : index + 1;
    return [
      `try ${number}`,
      `${each.endpoint} at ${each.at} ms: ${tryInWords(each)}, ${each.ms} ms`,
    ] as const;
  });
  const missing = attempts - tries.length;
  return missing > 0 ? [...lines, ["", `(${missing} more tries are not shown)`]] : lines;
}

function label(name: string): string {
  return name.padEnd(LABEL_WIDTH);
}
