import type { HeaderList } from "@tulle/http";

import type { DownstreamStream } from "../stream/contract.js";

/** Why what a client sent cannot become gRPC, or what a service answered cannot become what the client takes. */
export interface Untranslatable {
  readonly grpcStatus: number;
  /** For clients that take HTTP statuses. */
  readonly status: number;
  readonly message: string;
  /** Envoy's RESPONSE_CODE_DETAILS. */
  readonly details: string;
}

/** Takes what a client sent, as gRPC. */
export interface TranslatedRequest {
  /** Borrowed bytes. */
  onTranslatedBody(chunk: Buffer, start: number, end: number): void;
  onTranslatedEnd(trailers: HeaderList): void;
  /** Nothing more comes, and what was sent on is taken back. The answer that says so comes by way of the translator. */
  onUntranslatable(why: Untranslatable): void;
}

/**
 * Stands between an exchange, which speaks gRPC, and a client that speaks something else. The client's body goes through
 * `onRequestBody` and `onRequestEnd`; the answer, the proxy's own too, through the methods of the client's stream.
 */
export abstract class CallTranslator implements DownstreamStream {
  protected readonly client: DownstreamStream;
  protected readonly request: TranslatedRequest;

  constructor(client: DownstreamStream, request: TranslatedRequest) {
    this.client = client;
    this.request = request;
  }

  /** What the proxy would answer itself to a client without gRPC; undefined: the service answers. */
  localStatus: number | undefined;

  /** Whether nothing comes of the request's body before all of it is here. */
  abstract readonly takesWholeBody: boolean;

  /** Borrowed bytes of the client's body. */
  abstract onRequestBody(chunk: Buffer, start: number, end: number): void;
  abstract onRequestEnd(trailers: HeaderList): void;

  abstract writeHead(
    status: number,
    reason: string,
    headers: HeaderList,
    hasBody: boolean,
    contentLength: number,
  ): void;
  abstract writeBody(chunk: Buffer, start: number, end: number): boolean;
  abstract writeEnd(trailers: HeaderList): void;

  get http2(): boolean {
    return this.client.http2;
  }

  writeInterim(status: number, reason: string, headers: HeaderList): void {
    this.client.writeInterim(status, reason, headers);
  }

  /** Never: a call that is translated asks for no upgrade. */
  writeSwitched(): void {
    this.client.reset();
  }

  /** Never, for the same reason. */
  writeConnected(): void {
    this.client.reset();
  }

  reset(): void {
    this.client.reset();
  }

  pauseRequest(): void {
    this.client.pauseRequest();
  }

  resumeRequest(): void {
    this.client.resumeRequest();
  }
}
