import { Agent, request, type RequestOptions } from "node:https";
import type { TLSSocket } from "node:tls";

import { eventually } from "@tulle/testkit";

import { Workload } from "./workload.js";

/** A running `tulle gateway`. */
export class Gateway extends Workload {
  /** Where a port of its Gateways is really open, once it is. */
  async port(number: number): Promise<number> {
    const found = await eventually(async () => {
      const { listener_statuses } = (await this.admin("/listeners?format=json")) as ListenerDump;
      return listener_statuses.find(({ name }) => name === `gateway ${number}`);
    });
    return found.local_address.socket_address.port_value;
  }

  /** Whether a port of its Gateways is open now. */
  async isOpen(number: number): Promise<boolean> {
    const { listener_statuses } = (await this.admin("/listeners?format=json")) as ListenerDump;
    return listener_statuses.some(({ name }) => name === `gateway ${number}`);
  }
}

interface ListenerDump {
  readonly listener_statuses: readonly {
    readonly name: string;
    readonly local_address: { readonly socket_address: { readonly port_value: number } };
  }[];
}

/** An answer over TLS. */
export interface SecureAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
  /** Serial number of the certificate that the server showed, upper case. */
  readonly serial: string;
}

/** One request by a connection of its own unless `agent` says else; the host is `servername`, unless there is a Host. */
export function secureCall(
  port: number,
  options: Omit<RequestOptions, "headers"> & {
    readonly servername: string;
    readonly headers?: Readonly<Record<string, string>>;
  },
  body = "",
): Promise<SecureAnswer> {
  return new Promise((resolve, reject) => {
    const { servername, headers, ...rest } = options;
    const agent = rest.agent ?? new Agent({ keepAlive: false, maxCachedSessions: 0 });
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        servername,
        timeout: 5000,
        ...rest,
        agent,
        headers: { host: servername, ...headers },
      },
      (answer) => {
        const serial = (answer.socket as TLSSocket).getPeerCertificate().serialNumber;
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => (text += chunk));
        answer.on("error", reject);
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text, serial }),
        );
      },
    );
    sent.on("error", reject);
    sent.on("timeout", () => sent.destroy(new Error("no answer in time")));
    sent.end(body);
  });
}
