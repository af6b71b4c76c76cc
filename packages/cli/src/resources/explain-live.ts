import type { ExplainRequest } from "@tulle/api";
import { MeshError, systemErrorCode } from "@tulle/base";
import type { Client } from "@tulle/client";
import { EXPLANATION_VERSION, type Explanation } from "@tulle/engine";

/** How long a sidecar may take to answer: it may have to ask for the service first. */
const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 32 * 1024 * 1024;

/** Asks a sidecar of the caller, by way of the control plane. */
export async function askControlPlane(client: Client, request: ExplainRequest): Promise<Explanation> {
  const { explanation } = await client.explain(request);
  return expectExplanation(explanation, client.server);
}

/** Asks the sidecar whose admin interface is at `url`. */
export async function askProxy(
  url: string,
  question: Omit<ExplainRequest, "from" | "namespace">,
): Promise<Explanation> {
  const base = /^https?:\/\//.test(url) ? url : `http://${url}`;
  let text: string;
  let ok: boolean;
  try {
    const response = await fetch(`${base.replace(/\/+$/, "")}/explain`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(question),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = (await response.text()).slice(0, MAX_ANSWER);
    ok = response.ok;
  } catch (cause) {
    const message = `no sidecar's admin interface at ${url} (${systemErrorCode(cause) ?? "no answer"}); tulle get proxies -o wide lists them`;
    throw new MeshError("unavailable", "CLI_NO_PROXY", message, { cause });
  }
  if (!ok) throw new MeshError("invalid", "CLI_REFUSED", `${url}: ${text.trim().slice(0, 2048)}`);
  return expectExplanation(parse(text), url);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function expectExplanation(value: unknown, from: string): Explanation {
  const version =
    typeof value === "object" && value !== null && "version" in value ? value.version : undefined;
  if (version === EXPLANATION_VERSION) return value as Explanation;
  const message =
    typeof version !== "number"
      ? `${from} did not answer with an explanation; is it a Tulle of this version?`
      : `${from} explains in version ${version}, this tulle reads ${EXPLANATION_VERSION}: use one of the same version`;
  throw new MeshError("unimplemented", "CLI_FOREIGN_EXPLANATION", message);
}
