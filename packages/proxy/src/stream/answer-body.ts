import type { AdmissionProgress } from "@tulle/engine";
import { NO_GRPC_STATUS, readGrpcStatus, type HeaderList } from "@tulle/http";

import type { DownstreamStream } from "./contract.js";
import type { ExchangeRecord } from "./exchange-record.js";
import { FaultyResponse, type FaultyResponseOwner } from "./faulty-response.js";
import type { ExchangeTimersContext } from "./exchange-timers.js";

/** Who is told what becomes of a body. */
export interface AnswerBodyOwner {
  /** Bytes are about to be written. True: the client is cut off instead. */
  onAnswerBytes(): boolean;
  /** Everything but the end was written. */
  onAnswerEnd(trailers: HeaderList): void;
  /** A fault has the client's connection reset. */
  onAnswerReset(): void;
  /** The server may go on. */
  resumeAnswer(): void;
}

/** The body of a server's answer on its way to the client: as it comes, or as a fault has it come. One per exchange, reused. */
export class AnswerBody implements FaultyResponseOwner {
  readonly #record: ExchangeRecord;
  #downstream: DownstreamStream;
  readonly #context: ExchangeTimersContext;
  readonly #owner: AnswerBodyOwner;
  /** Made when a fault is injected into a response. */
  #faulty: FaultyResponse | undefined;

  constructor(
    record: ExchangeRecord,
    downstream: DownstreamStream,
    context: ExchangeTimersContext,
    owner: AnswerBodyOwner,
  ) {
    this.#record = record;
    this.#downstream = downstream;
    this.#context = context;
    this.#owner = owner;
  }

  /** Who gets it from here on. */
  to(downstream: DownstreamStream): void {
    this.#downstream = downstream;
  }

  /** Its head was written: from here on it is as the steps of the chain have it. */
  begin(admission: AdmissionProgress): void {
    if (admission.responseBytesPerSecond === 0 && admission.resetAfterBytes < 0) return;
    this.#faulty ??= new FaultyResponse(this.#context.clock, this.#context.fineWheel, this);
    this.#faulty.start(admission);
  }

  /** Borrowed bytes. Returns false when the server must wait. */
  write(chunk: Buffer, start: number, end: number): boolean {
    if (this.#faulty?.active === true) return this.#faulty.write(chunk, start, end);
    return this.writeFaulty(chunk, start, end);
  }

  end(trailers: HeaderList): void {
    if (this.#faulty?.active === true) this.#faulty.end(trailers);
    else this.onFaultyEnd(trailers);
  }

  /** The client took what it was given. */
  onDrain(): void {
    if (this.#faulty?.active === true) this.#faulty.onDrain();
    else this.#owner.resumeAnswer();
  }

  /** Whatever is held is dropped. */
  stop(): void {
    this.#faulty?.stop();
  }

  // FaultyResponseOwner

  writeFaulty(chunk: Buffer, start: number, end: number): boolean {
    const record = this.#record;
    record.bytesSent += end - start;
    if (record.grpc) record.responseMessages?.count(chunk, start, end);
    return this.#owner.onAnswerBytes() || this.#downstream.writeBody(chunk, start, end);
  }

  onFaultyEnd(trailers: HeaderList): void {
    const record = this.#record;
    if (record.grpc && record.grpcStatus === NO_GRPC_STATUS) record.grpcStatus = readGrpcStatus(trailers);
    this.#owner.onAnswerEnd(trailers);
  }

  onFaultyReset(): void {
    this.#record.addFlag("FI");
    this.#record.responseCodeDetails = "fault_filter_reset";
    this.#owner.onAnswerReset();
  }

  resumeFaulty(): void {
    this.#owner.resumeAnswer();
  }
}
