import type { Plan } from "@tulle/engine";

import type { RequestBody } from "../stream/request-body.js";
import type { CallTranslator } from "./call-translator.js";

/** How far an exchange is with a call that is translated. One for each such call. */
export class TranslatedCall {
  readonly translator: CallTranslator;
  /** Its way, once it only waits for its body to be whole. */
  awaits: Plan | undefined;
  #takesBody = false;

  constructor(translator: CallTranslator) {
    this.translator = translator;
  }

  /** Whether what comes of the request's body is for the translator: no step of the chain wants it as it was sent. */
  get takesBody(): boolean {
    return this.#takesBody;
  }

  /** What has come of the body goes through the translator, as all that will. */
  begin(body: RequestBody): void {
    this.#takesBody = true;
    const { done, trailers } = body;
    for (const chunk of body.takeUntranslated()) this.translator.onRequestBody(chunk, 0, chunk.length);
    if (done) this.translator.onRequestEnd(trailers);
  }
}
