/**
 * Names of Envoy's command operators that Tulle's proxy can print: in access logs, and in headers that routes add. Here
 * rather than where they are carried out, so that the control plane can say what a proxy would refuse.
 */
export const COMMAND_OPERATORS = [
  "BYTES_RECEIVED",
  "BYTES_SENT",
  "CONNECTION_TERMINATION_DETAILS",
  "DOWNSTREAM_LOCAL_ADDRESS",
  "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_LOCAL_PORT",
  "DOWNSTREAM_PEER_URI_SAN",
  "DOWNSTREAM_REMOTE_ADDRESS",
  "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_REMOTE_PORT",
  "DURATION",
  "DYNAMIC_METADATA",
  "PROTOCOL",
  "REQ",
  "REQ_WITHOUT_QUERY",
  "REQUESTED_SERVER_NAME",
  "RESP",
  "RESPONSE_CODE",
  "RESPONSE_CODE_DETAILS",
  "RESPONSE_FLAGS",
  "ROUTE_NAME",
  "START_TIME",
  "STREAM_ID",
  "UPSTREAM_CLUSTER",
  "UPSTREAM_CLUSTER_RAW",
  "UPSTREAM_HOST",
  "UPSTREAM_LOCAL_ADDRESS",
  "UPSTREAM_REMOTE_ADDRESS",
  "UPSTREAM_REQUEST_ATTEMPT_COUNT",
  "UPSTREAM_TRANSPORT_FAILURE_REASON",
] as const;

export type CommandOperator = (typeof COMMAND_OPERATORS)[number];

const KNOWN: ReadonlySet<string> = new Set(COMMAND_OPERATORS);

export function isCommandOperator(name: string): name is CommandOperator {
  return KNOWN.has(name);
}

/** A piece of a format: text as it is, or an operator (`%REQ(x?y):8%`). */
export type FormatPiece =
  | string
  | { readonly name: string; readonly argument: string | undefined; readonly length: number | undefined };

/** Takes a format apart. What does not look like an operator is text; `%%` is left to the caller. */
export function splitFormat(format: string): FormatPiece[] {
  const pieces: FormatPiece[] = [];
  const operator = /%%|%([A-Z_]+)(?:\(([^)]*)\))?(?::(\d+))?%/g;
  let text = "";
  let end = 0;
  for (const match of format.matchAll(operator)) {
    text += format.slice(end, match.index);
    end = match.index + match[0].length;
    if (match[1] === undefined) {
      text += "%%";
      continue;
    }
    if (text !== "") pieces.push(text);
    text = "";
    pieces.push({
      name: match[1],
      argument: match[2],
      length: match[3] === undefined ? undefined : Number(match[3]),
    });
  }
  text += format.slice(end);
  if (text !== "") pieces.push(text);
  return pieces;
}

/** What of a header's value no proxy of ours could make: the first such operator, or undefined. `%%` is a percent sign. */
export function unknownOperator(value: string): string | undefined {
  for (const piece of splitFormat(value)) {
    if (typeof piece !== "string") {
      if (!isCommandOperator(piece.name)) return `%${piece.name}%`;
    } else if (piece.replaceAll("%%", "").includes("%")) return piece.slice(piece.indexOf("%"));
  }
  return undefined;
}
