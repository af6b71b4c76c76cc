import type { AccessTokenInfo, AccessTokenRequest, CreatedAccessToken } from "@tulle/api";
import { MeshError } from "@tulle/base";
import { isObject } from "./three-way-merge.js";
import type { Transport } from "./transport.js";

const PATH = "/tulle/v1/access-tokens";

/** Tokens by which people and programs log in at the control plane. For admins. */
export class AccessTokenClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The one time that the token is told. */
  async create(request: AccessTokenRequest): Promise<CreatedAccessToken> {
    const { body } = await this.#transport.call({ method: "POST", path: PATH, body: request });
    if (!isObject(body) || typeof body["token"] !== "string") throw unexpected();
    return body as unknown as CreatedAccessToken;
  }

  async list(): Promise<readonly AccessTokenInfo[]> {
    const { body } = await this.#transport.call({ method: "GET", path: PATH });
    if (!isObject(body) || !Array.isArray(body["tokens"])) throw unexpected();
    return body["tokens"] as readonly AccessTokenInfo[];
  }

  /** `not-found` when there is no such token. */
  async revoke(name: string): Promise<void> {
    await this.#transport.call({ method: "DELETE", path: `${PATH}/${encodeURIComponent(name)}` });
  }
}

function unexpected(): MeshError {
  const message = "the answer is not one of a Tulle control plane; check the server's address";
  return new MeshError("internal", "CLIENT_UNEXPECTED_ANSWER", message, { source: "control" });
}
