export { AgentQueries, type ProxyQuestion } from "./agent-queries.js";
export { AgentServer } from "./agent-server.js";
