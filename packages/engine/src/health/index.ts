export { CheckState, inRanges, nextCheckMs } from "./check-state.js";
export type { Transition } from "./check-state.js";
export { encodeHealthRequest, readServingStatus, ServingStatus } from "./grpc-health.js";
export { OrderedMatch } from "./payload.js";
export { redisCommand, RedisReply } from "./redis.js";
