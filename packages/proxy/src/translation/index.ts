import type { CallTranslation } from "@tulle/engine";

import type { DownstreamStream } from "../stream/contract.js";
import type { CallTranslator, TranslatedRequest } from "./call-translator.js";
import { GrpcWebTranslator } from "./grpc-web-translator.js";
import { JsonTranslator } from "./json-translator.js";

export { TranslatedCall } from "./translated-call.js";
export type { CallTranslator, TranslatedRequest, Untranslatable } from "./call-translator.js";

/** What translates one call for its client. */
export function translatorOf(
  translation: CallTranslation,
  client: DownstreamStream,
  request: TranslatedRequest,
): CallTranslator {
  return translation.kind === "json"
    ? new JsonTranslator(translation, client, request)
    : new GrpcWebTranslator(translation, client, request);
}
