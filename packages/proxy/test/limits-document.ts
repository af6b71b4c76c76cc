import { definitionOf, LIMIT_NAMES, type LimitDefinition } from "../src/limits/limit-table.js";

const INTRODUCTION = `# Limits

What a sidecar lets its peers make it do. Each limit can be changed where the sidecar starts:

\`\`\`sh
tulle sidecar --service web --limit http1.maxHeadBytes=16384 --limit http2.maxConcurrentStreams=100
TULLE_LIMITS=http1.maxHeadBytes=16384,connection.headerTimeoutMs=5000 tulle run --service web --port 8080 -- ./web
\`\`\`

Three sources, each over the one before: the default, what the control plane says for a listener (Envoy's fields, below), \`--limit\`.
"Strangers" are clients that show no certificate on the inbound listener (permissive mode); an empty cell means that they get the
same. A limit that is given holds for them too. With \`--workers\` each thread counts for itself.

A limit that is reached is counted, \`tulle_limit_exceeded_total{limit="…"}\`, and named in the log at \`warn\`, at most once in ten
seconds each: which limit, its value, by whom, how often since the last line, and the option that changes it. Those marked * are
reached in the normal course of things and are counted where something is refused or closed for them, without a line. Windows
and table sizes are kept to by the peer, so there is nothing to count.

| limit | unit | default | strangers | from – to | bounds | what happens then |
| --- | --- | --- | --- | --- | --- | --- |
`;

const ENVOY = `
## Envoy's fields

Of a listener's \`HttpConnectionManager\`. They hold for connections made after the change; on the outbound listener, where each
request names its service, the defaults hold, for a connection is for all of them. A timeout of 0 ("never") sets none: every wait
has an end. Values outside of a limit's bounds are brought to the nearest.

| field | limits |
| --- | --- |
| \`max_request_headers_kb\` | \`http1.maxHeadBytes\`, \`http2.maxHeaderListBytes\` |
| \`common_http_protocol_options.max_headers_count\` | \`http1.maxHeaderCount\`, \`http2.maxHeaderCount\` |
| \`common_http_protocol_options.idle_timeout\` | \`connection.idleTimeoutMs\` |
| \`common_http_protocol_options.max_connection_duration\` | \`connection.maxDurationMs\` |
| \`per_connection_buffer_limit_bytes\` of the listener | \`connection.maxBufferedBytes\` |
| \`delayed_close_timeout\` | \`connection.delayedCloseMs\`; here 0 means that the connection is closed at once |
| \`request_headers_timeout\` | \`connection.headerTimeoutMs\`, \`http2.headerTimeoutMs\` |
| \`http2_protocol_options.max_concurrent_streams\` | \`http2.maxConcurrentStreams\` |
| \`http2_protocol_options.initial_stream_window_size\` | \`http2.streamWindowBytes\` |
| \`http2_protocol_options.initial_connection_window_size\` | \`http2.connectionWindowBytes\` |
| \`http2_protocol_options.hpack_table_size\` | \`http2.headerTableBytes\` |
| \`http2_protocol_options.max_outbound_frames\` | \`http2.maxPendingFrames\` |
| \`http2_protocol_options.max_outbound_control_frames\` | \`http2.maxPendingControlFrames\` |
| \`http2_protocol_options.max_consecutive_inbound_frames_with_empty_payload\` | \`http2.maxEmptyFrames\` |
| \`http2_protocol_options.max_inbound_priority_frames_per_stream\` | \`http2.maxPriorityFramesPerStream\` |
| \`http2_protocol_options.max_inbound_window_update_frames_per_data_frame_sent\` | \`http2.maxWindowUpdatesPerDataFrame\` |

Time of a whole exchange (a route's \`timeout\`, the \`stream_idle_timeout\`), connections, requests and retries per cluster
(\`circuit_breakers\`, \`connect_timeout\`) are limits of the configuration, as in Istio and Envoy.
`;

/** docs/limits.md, made from the table. */
export function limitsDocument(): string {
  return INTRODUCTION + LIMIT_NAMES.map((name) => row(name, definitionOf(name))).join("") + ENVOY;
}

function row(name: string, limit: LimitDefinition): string {
  const { unit, default: standard, stranger, min, max, bounds, effect, quiet } = limit;
  const cells = [
    `\`${name}\`${quiet === true ? " *" : ""}`,
    unit,
    number(standard),
    stranger === undefined ? "" : number(stranger),
    `${number(min)} – ${number(max)}`,
    bounds,
    effect,
  ];
  return `| ${cells.join(" | ")} |\n`;
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}
