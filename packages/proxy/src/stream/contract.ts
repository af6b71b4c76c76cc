import type { Socket } from "node:net";

import type {
  ConnectionFacts,
  EdgeSettings,
  EndpointPart,
  HttpChain,
  ProxyTlv,
  WorkloadLabels,
} from "@tulle/engine";
import type { HeaderList, Http1Error, RequestHead, ResponseHead } from "@tulle/http";

import type { Failure } from "../rescue.js";

/**
 * The client's side of one exchange, whatever protocol it speaks. Calls are in this order:
 * `writeInterim* writeHead writeBody* writeEnd`, or `reset` instead of the rest. After `writeSwitched`, in place of
 * `writeHead`, body and end are those of a tunnel: each direction ends by itself.
 */
export interface DownstreamStream {
  /** Whether the client speaks HTTP/2. */
  readonly http2: boolean;
  /** What the client speaks, for logs, where that is not HTTP. */
  readonly protocol?: string;
  writeInterim(status: number, reason: string, headers: HeaderList): void;
  /**
   * `headers` are end-to-end fields, a Content-Length included when `contentLength` is known. `contentLength` -1 =
   * unknown; `hasBody` false = the head is all (HEAD, 204, 304), whatever the fields say, and with -1 they say nothing.
   */
  writeHead(
    status: number,
    reason: string,
    headers: HeaderList,
    hasBody: boolean,
    contentLength: number,
  ): void;
  /**
   * The upgrade that the client asked for is made. What it has sent since, which was held until now, and all that it
   * will send goes to `RequestHandler.onRequestBody`. `headers` as in `writeHead`, without those of the handshake.
   */
  writeSwitched(headers: HeaderList): void;
  /**
   * Answers a CONNECT with 200 and hands the connection to `RequestSource.connects`, in place of `writeHead` and all that
   * follows. Not with HTTP/2.
   */
  writeConnected(authority: string): void;
  /** Borrowed bytes. Returns false when the writer must stop until `Exchange.onDownstreamDrain`. */
  writeBody(chunk: Buffer, start: number, end: number): boolean;
  /** Completes the response. The exchange is over for this side. */
  writeEnd(trailers: HeaderList): void;
  /** The response cannot be completed: the client must notice that it is cut. */
  reset(): void;
  /** Stops and restarts the flow of the request's body. */
  pauseRequest(): void;
  resumeRequest(): void;
}

/**
 * The server's side of one try. Calls are in this order: `writeHead writeBody* writeEnd`, or `cancel` instead of the
 * rest. After `writeUpgrade`, in place of `writeHead`, nothing is written before `UpstreamHandler.onUpstreamSwitched`.
 */
export interface UpstreamStream {
  /** Whether this connection served another exchange before. */
  readonly reused: boolean;
  /** Local `host:port` of the connection, for logs. */
  readonly localAddress: string;
  /** Whether any byte of this try has left for the network. */
  readonly requestSent: boolean;
  /** Bytes of the request that the server has not taken. */
  readonly bufferedBytes: number;
  /** Sends the head. `contentLength` -1 = chunked; 0 with `hasBody` false = no body. */
  writeHead(
    method: string,
    target: string,
    headers: HeaderList,
    hasBody: boolean,
    contentLength: number,
  ): void;
  /** Sends a complete GET that asks for `protocol`. */
  writeUpgrade(protocol: string, target: string, headers: HeaderList): void;
  /** Borrowed bytes. Returns false when the writer must stop until `onUpstreamDrain`. */
  writeBody(chunk: Buffer, start: number, end: number): boolean;
  writeEnd(trailers: HeaderList): void;
  /** Forgets the handler; what the server still does is wasted. */
  cancel(): void;
  pauseResponse(): void;
  resumeResponse(): void;
}

/**
 * Why a try ended without a complete response. `reset`: the server ended this request alone; `refused`: and says that it
 * has not looked at it; `no-upgrade`: over this connection no upgrade can be asked for.
 */
export type ResetReason = "closed" | "reset" | "refused" | "protocol-error" | "no-upgrade";

/** Takes what an upstream stream gives. */
export interface UpstreamHandler {
  onUpstreamInterim(head: ResponseHead): void;
  onUpstreamHead(head: ResponseHead): void;
  /** The server made the upgrade (101): body and end of both directions are those of a tunnel from now on. */
  onUpstreamSwitched(head: ResponseHead): void;
  /** Borrowed bytes. */
  onUpstreamBody(chunk: Buffer, start: number, end: number): void;
  onUpstreamEnd(trailers: HeaderList): void;
  onUpstreamDrain(): void;
  /** `detail`: system error code, TLS reason or codec message; "" when the peer just closed. */
  onUpstreamReset(reason: ResetReason, detail: string): void;
}

/** Why no connection could be had. */
export type AcquireFailure = "connect-failure" | "connect-timeout" | "overflow";

/** Waits for an upstream stream. Exactly one of the two is called, perhaps at once, unless it is withdrawn. */
export interface UpstreamWaiter extends UpstreamHandler {
  onUpstreamReady(stream: UpstreamStream): void;
  onUpstreamUnavailable(failure: AcquireFailure, detail: string): void;
}

/** A listener whose clients may ask for a connection to a service (CONNECT, RFC 9110 section 9.3.6). */
export interface ConnectListener {
  /** Whether there is such a service, or why it cannot be had; undefined = not known yet. */
  knows(authority: string): true | Failure | undefined;
  /** Carries on a client's connection as one to the service. It is paused, with unread bytes put back. */
  accept(socket: Socket, authority: string): void;
}

/** Hosts that the mesh does not know, for clients that use a listener as their proxy. */
export interface OutsideWays extends ConnectListener {
  /**
   * The address that a host was found to have, whatever the policy for unknown ones is, or why nothing goes there;
   * undefined while it is looked up. Without a port, that of HTTP.
   */
  endpointOf(authority: string): EndpointPart | Failure | undefined;
}

/** What a connection's listener tells about every request on it. One object per connection. */
export interface RequestSource {
  readonly direction: "inbound" | "outbound";
  /**
   * Whether the client is one of ours: the local application, or a workload of the mesh whose sidecar vouches for what it
   * says. What others say of timeouts and retries is not believed.
   */
  readonly ownCaller: boolean;
  /** Authority that the listener stands for (upstream listeners), "" when the request names it. */
  readonly fixedAuthority: string;
  /** Authority to try where the mesh knows none by the request's own: where a redirected connection was made to. */
  readonly fallbackAuthority?: string | undefined;
  /** Where a redirected connection was made to: a cluster of the original destination leads there. */
  readonly originalEndpoint?: EndpointPart | undefined;
  /** `host:port` of the listener and of the client. */
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** What the PROXY header of the connection says besides; undefined = nothing that may be passed on. */
  readonly proxyTlvs?: readonly ProxyTlv[] | undefined;
  /** Host header values that mean this listener and not a service: `127.0.0.1:34567`, `localhost:34567`. */
  isOwnAddress(authority: string): boolean;
  /** The client's SPIFFE id, verified by mutual TLS; "" without. */
  readonly peerSpiffeId: string;
  /** `x-forwarded-client-cert` to give to the application; "" without mutual TLS. */
  readonly forwardedClientCert: string;
  /** Address for `x-forwarded-for`: of the client that a PROXY header names; "" without. */
  readonly forwardedFor: string;
  /** SNI of the connection, "" without. */
  readonly serverName: string;
  /** What policies may ask of the connection; undefined on the outbound side. */
  readonly connection?: ConnectionFacts | undefined;
  /** The client speaks TLS. */
  readonly secure: boolean;
  /** Set where clients come from outside the mesh. */
  readonly edge?: EdgeSettings | undefined;
  /** Whether a request for `authority` should have come by another connection; absent: never. */
  isMisdirected?(authority: string): boolean;
  /** Verified peer metadata of a request, from its header. */
  peerOf(value: string): WorkloadLabels | undefined;
  /** The chain for a request to `authority`; undefined = not known yet, null = no such service. */
  chain(authority: string): HttpChain | undefined | null;
  /** Takes connections that CONNECT asks for; undefined = there are none to be had here. */
  readonly connects: ConnectListener | undefined;
  /** Where requests in absolute form go that the mesh has no service for; absent: nowhere. */
  readonly outside?: OutsideWays | undefined;
  /** The listener takes nothing from this connection any more: its tunnels have no next request to be refused. */
  readonly revoked: boolean;
  /** Whether responses must end their connection (draining). */
  readonly closing: boolean;
}

/**
 * The server side of an exchange as its connection drives it. A request with an upgrade has neither body nor end before
 * `DownstreamStream.writeSwitched`.
 */
export interface RequestHandler {
  /** `refused`: the proxy is overloaded, and answers that. */
  onRequestHead(head: RequestHead, refused: boolean): void;
  /** Borrowed bytes. */
  onRequestBody(chunk: Buffer, start: number, end: number): void;
  onRequestEnd(trailers: HeaderList): void;
  /** The client took what was written and `writeBody` may go on. */
  onDownstreamDrain(): void;
  /** The client is gone. */
  onDownstreamClose(): void;
  /** The client's message turned out malformed after its head. */
  onDownstreamError(error: Http1Error): void;
  /** Bytes of the request that wait for the server; 0 when nothing is under way. */
  readonly bufferedBytes: number;
  /** Memory is short: ends the exchange if nothing has moved for this share, 0 to 1, of its idle timeout. */
  endIdle(share: number): void;
  /** Memory is short: ends the exchange. Returns false when none is under way. */
  shed(): boolean;
}
