import type { EngineRequest } from "@tulle/engine";
import { NO_FIELDS, parseRequestTarget, type HeaderList, type RequestHead } from "@tulle/http";

import type { AuthorityCache } from "./authority-cache.js";
import type { RequestSource } from "./contract.js";

/** The request as every decision and the upstream's serialiser see it. One object per exchange, filled per request. */
export class CanonicalRequest implements EngineRequest {
  method = "";
  path = "";
  authority = "";
  scheme: "http" | "https" = "http";
  /** The client takes us for its proxy: its target is an `http://` URL (RFC 9112 section 3.2.2). */
  proxied = false;
  headers: HeaderList = NO_FIELDS;
  clientCertificate = false;
  /** Protocol that the connection shall be switched to, "" for an ordinary request. */
  upgrade = "";
  /** Value for the Host field sent on: as received, unless the client named our own listener. */
  host = "";
  // What was made of the last Host: on one connection it is nearly always the same.
  #received = "";
  #named = "";
  #sentOn = "";

  /** `source`: always the same one. */
  fill(head: RequestHead, source: RequestSource, authorities: AuthorityCache): void {
    this.method = head.method;
    this.headers = head.headers;
    this.upgrade = head.upgrade;
    this.clientCertificate = source.forwardedClientCert !== "";
    this.proxied = false;
    if (head.target.startsWith("/")) this.path = head.target;
    else this.#fillTarget(head);
    this.scheme = source.secure ? "https" : "http";
    if (head.host !== this.#received) this.#learnHost(head.host, source, authorities);
    const fixed = source.fixedAuthority;
    this.authority = fixed === "" ? this.#named : fixed;
    this.host = this.#sentOn === "" ? fixed : this.#sentOn;
  }

  /** Becomes the request that a redirect asks for. */
  redirect({ method, path, authority, scheme, headers }: EngineRequest): void {
    if (authority !== this.authority) {
      this.authority = authority;
      this.host = authority;
    }
    this.method = method;
    this.path = path;
    this.scheme = scheme;
    this.headers = headers;
  }

  #fillTarget({ method, target }: RequestHead): void {
    const parsed = parseRequestTarget(method, target);
    this.path = parsed?.path ?? target;
    this.proxied = parsed?.form === "absolute" && parsed.scheme === "http";
  }

  #learnHost(host: string, source: RequestSource, authorities: AuthorityCache): void {
    // Perhaps cut from a request's head, which would live as long.
    this.#received = Buffer.from(host, "latin1").toString("latin1");
    this.#named = host === "" ? "" : authorities.canonical(host);
    // A client of http://127.0.0.1:34567 does not know the service's name; the service must not see ours.
    const fixed = source.fixedAuthority;
    const isOurs = fixed !== "" && (this.#named === "" || source.isOwnAddress(this.#named));
    this.#sentOn = isOurs ? fixed : this.#received;
  }
}
