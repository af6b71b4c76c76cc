import type { EngineRequest } from "@tulle/engine";
import { parseRequestTarget, type HeaderList, type RequestHead } from "@tulle/http";

import type { AuthorityCache } from "./authority-cache.js";
import type { RequestSource } from "./contract.js";

const NO_HEADERS: HeaderList = [];

/** The request as every decision and the upstream's serialiser see it. One object per exchange, filled per request. */
export class CanonicalRequest implements EngineRequest {
  method = "";
  path = "";
  authority = "";
  scheme: "http" | "https" = "http";
  headers: HeaderList = NO_HEADERS;
  /** Protocol that the connection shall be switched to, "" for an ordinary request. */
  upgrade = "";
  /** Value for the Host field sent on: as received, unless the client named our own listener. */
  host = "";

  fill(head: RequestHead, source: RequestSource, authorities: AuthorityCache): void {
    this.method = head.method;
    this.headers = head.headers;
    this.upgrade = head.upgrade;
    this.path = head.target.startsWith("/") ? head.target : pathOf(head);
    this.scheme = source.peerSpiffeId === "" ? "http" : "https";
    const named = head.host === "" ? "" : authorities.canonical(head.host);
    const fixed = source.fixedAuthority;
    if (fixed === "") {
      this.authority = named;
      this.host = head.host;
    } else {
      this.authority = fixed;
      // A client of http://127.0.0.1:34567 does not know the service's name; the service must not see ours.
      this.host = named === "" || source.isOwnAddress(named) ? fixed : head.host;
    }
  }
}

function pathOf(head: RequestHead): string {
  return parseRequestTarget(head.method, head.target)?.path ?? head.target;
}
