export {
  bareAnswer,
  createDnsAnswerer,
  type DnsAnswerer,
  type DnsOptions,
  type DnsTransport,
} from "./answer.js";
export type { DnsDirectory, DnsInstance, DnsNode } from "./directory.js";
export { RCODE, TYPE, type Rcode } from "./codes.js";
export { frame, FrameReader } from "./frames.js";
export { failureAnswer, hostAnswer } from "./host-answer.js";
export { parseQuery, type ParsedQuery, type Query } from "./query.js";
export { isAnswerTo, rcodeOf, withId } from "./relay.js";
