import { MeshError } from "@tulle/base";
import { readQuestion } from "@tulle/engine";

import type { Explainer } from "./explainer.js";
import { json, text, type Endpoint } from "./http-endpoints.js";

const HELP = 'what would become of a request, and why; body {"method": "GET", "url": "http://reviews:9080/"}';

/** Largest question, bytes. */
const MAX_BODY_BYTES = 64 * 1024;

/** `POST /explain`: the engine's explanation of the request in the body. */
export function explainEndpoint(explainer: Pick<Explainer, "explain">): Endpoint {
  return {
    path: "/explain",
    method: "POST",
    help: HELP,
    maxBodyBytes: MAX_BODY_BYTES,
    handle: async (_query, body) => {
      try {
        return json(await explainer.explain(readQuestion(parse(body))));
      } catch (thrown) {
        if (thrown instanceof MeshError && thrown.kind === "invalid") return text(`${thrown.message}\n`, 400);
        throw thrown;
      }
    },
  };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
