import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { exportJWK, generateKeyPair, SignJWT } from "jose";

type SigningKey = Awaited<ReturnType<typeof generateKeyPair>>["privateKey"];

/** An OpenID provider on loopback: its discovery document, its keys, and tokens for whoever the test wants. */
export class OidcProvider {
  readonly issuer: string;
  readonly #server: Server;
  readonly #key: SigningKey;

  private constructor(server: Server, issuer: string, key: SigningKey) {
    this.#server = server;
    this.issuer = issuer;
    this.#key = key;
  }

  static async start(): Promise<OidcProvider> {
    const { publicKey, privateKey } = await generateKeyPair("RS256");
    const keys = [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "RS256" }];
    let issuer = "";
    const server = createServer((request, response) => {
      const isDiscovery = request.url === "/.well-known/openid-configuration";
      response.end(JSON.stringify(isDiscovery ? { issuer, jwks_uri: `${issuer}/keys` } : { keys }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return new OidcProvider(server, issuer, privateKey);
  }

  /** `seconds`: until its end. */
  token(claims: object, audience = "tulle", seconds = 600): Promise<string> {
    return new SignJWT({ sub: "somebody", ...claims })
      .setProtectedHeader({ alg: "RS256", kid: "k1" })
      .setIssuer(this.issuer)
      .setAudience(audience)
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(this.#key);
  }

  close(): void {
    this.#server.close();
  }
}
