export type * from "./contract.js";
export { createTranscoder, transcoderProblem } from "./transcoder.js";
