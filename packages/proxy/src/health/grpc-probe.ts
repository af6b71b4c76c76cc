import {
  applyHeaders,
  encodeHealthRequest,
  readServingStatus,
  ServingStatus,
  type GrpcProbe,
} from "@tulle/engine";
import {
  encodeGrpcMessage,
  getHeader,
  GrpcFrameReader,
  GrpcStatus,
  grpcStatusName,
  isGrpcContentType,
  NO_GRPC_STATUS,
  readGrpcStatus,
  type HeaderList,
  type ResponseHead,
} from "@tulle/http";

import type { ProbeExchange } from "./http-probe.js";
import type { ProbeOutcome } from "./probe.js";

/** A `HealthCheckResponse` has one small number; a server may add a little. */
const MAX_MESSAGE_BYTES = 1024;
const STATUS_NAMES: readonly string[] = Object.keys(ServingStatus);

/** What a gRPC probe asks (`grpc.health.v1.Health/Check`) of a server that is known as `authority`. */
export class GrpcProbeExchange implements ProbeExchange {
  readonly method = "POST";
  readonly path = "/grpc.health.v1.Health/Check";
  readonly body: Uint8Array;
  readonly #probe: GrpcProbe;
  readonly #authority: string;
  readonly #reader = new GrpcFrameReader(MAX_MESSAGE_BYTES);
  #message: Buffer | undefined;
  #problem = "";
  #grpcStatus = NO_GRPC_STATUS;

  constructor(probe: GrpcProbe, authority: string) {
    this.#probe = probe;
    this.#authority = probe.authority === "" ? authority : probe.authority;
    this.body = encodeGrpcMessage(encodeHealthRequest(Buffer.from(probe.service)));
  }

  headers(): HeaderList {
    const headers: HeaderList = ["host", this.#authority, "user-agent", "Tulle/HC"];
    headers.push("content-type", "application/grpc", "te", "trailers");
    applyHeaders(headers, this.#probe.metadata);
    return headers;
  }

  onHead({ status, headers }: ResponseHead): void {
    this.#grpcStatus = readGrpcStatus(headers);
    if (status !== 200) this.#problem = `it answered ${status}`;
    else if (!isGrpcContentType(getHeader(headers, "content-type") ?? ""))
      this.#problem = "its answer is not gRPC";
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    this.#reader.execute(chunk, start, end, (message) => {
      this.#message = message;
    });
  }

  judge(trailers: HeaderList): ProbeOutcome {
    const problem = this.#problemOf(trailers);
    return problem === undefined
      ? { kind: "passed", degraded: false }
      : { kind: "failed", reason: problem, atOnce: true };
  }

  #problemOf(trailers: HeaderList): string | undefined {
    if (this.#problem !== "") return this.#problem;
    const status = this.#grpcStatus === NO_GRPC_STATUS ? readGrpcStatus(trailers) : this.#grpcStatus;
    if (status !== GrpcStatus.OK)
      return `it answered ${status === NO_GRPC_STATUS ? "without a status" : grpcStatusName(status)}`;
    const serving = this.#message === undefined ? undefined : readServingStatus(this.#message);
    if (serving === ServingStatus.SERVING) return undefined;
    return serving === undefined
      ? "its answer is no HealthCheckResponse"
      : `its status is ${STATUS_NAMES[serving] ?? serving}`;
  }
}
