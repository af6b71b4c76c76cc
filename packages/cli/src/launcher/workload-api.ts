import { join } from "node:path";

import { openWorkloadSocket, SPIFFE_ENDPOINT_SOCKET, type WorkloadSocketOptions } from "@tulle/agent";
import { MeshError } from "@tulle/base";

/** The SPIFFE Workload API for the application, and the variable by which it finds it. */
export interface WorkloadApi {
  environment(): Record<string, string>;
  close(): Promise<void>;
}

/** Opens `workload.sock` in the state directory. Where that is not possible the application goes without. */
export async function openWorkloadApi(
  directory: string,
  options: Omit<WorkloadSocketOptions, "socketPath">,
): Promise<WorkloadApi> {
  try {
    const socket = await openWorkloadSocket({ ...options, socketPath: join(directory, "workload.sock") });
    return { environment: () => ({ [SPIFFE_ENDPOINT_SOCKET]: socket.url }), close: () => socket.close() };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    options.logger.warn("no SPIFFE Workload API for the application", { error });
    return { environment: () => ({}), close: () => Promise.resolve() };
  }
}
