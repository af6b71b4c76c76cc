export { AgentQueries, type ProxyQuestion } from "./agent-queries.js";
export { AgentServer } from "./agent-server.js";
export { KeptTraffic } from "./kept-traffic.js";
export { askKnown, canAnswer, isNamed, record, someAtATime } from "./ask-agent.js";
export type { ConnectedAgent } from "./contract.js";
