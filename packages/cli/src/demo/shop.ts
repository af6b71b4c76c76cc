import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Clock } from "@tulle/base";

import { startChild, type Child } from "./child.js";

const EXAMPLES = fileURLToPath(new URL("../../../../examples/", import.meta.url));
const SHOP = join(EXAMPLES, "shop");

/** What `tulle run` and `tulle sidecar` say when they are ready. */
export interface WorkloadReady {
  readonly service: string;
  readonly version: string;
  readonly instanceId: string;
  readonly pid: number;
  readonly appPid?: number;
  readonly appPort?: number;
  readonly addresses: {
    readonly metrics: { readonly host: string; readonly port: number };
    readonly admin: { readonly host: string; readonly port: number };
    readonly upstreams: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  };
}

export type WorkloadChild = Child<WorkloadReady>;

interface Member {
  readonly name: string;
  readonly args: readonly string[];
}

export interface ShopOptions {
  readonly server: string;
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
}

/** Every port of a sidecar a free one: seven of them share the machine. */
const FREE = "--outbound-port 0 --inbound-port 0 --admin-port 0 --metrics-port 0 --readiness-port 0";

/** The instances of the shop, callees first; `visitor` is the sidecar that the demo's own requests go through. */
function members(directory: string): readonly Member[] {
  const node = (file: string): readonly string[] => [process.execPath, join(SHOP, file)];
  const instance = (name: string, options: string, app: readonly string[]): Member => ({
    name,
    args: [
      ...`run --instance-id ${name} --port 0 --health-path /health ${options}`.split(" "),
      "--state-dir",
      join(directory, name),
      "--",
      ...app,
    ],
  });
  const reviews = (name: string, version: string): Member => {
    const options = `--service reviews --version ${version} --service-port 9080 --upstream ratings:9081`;
    return instance(name, options, node("reviews.mjs"));
  };
  const ratings = hasPython() ? ["python3", join(SHOP, "ratings.py")] : node("ratings.mjs");
  return [
    instance("ratings", "--service ratings --version v1 --service-port 9081", ratings),
    reviews("reviews-v1-a", "v1"),
    reviews("reviews-v1-b", "v1"),
    reviews("reviews-v2-a", "v2"),
    reviews("reviews-v2-b", "v2"),
    instance(
      "frontend",
      "--service frontend --version v1 --service-port 8080 --upstream reviews:9080",
      node("frontend.mjs"),
    ),
    {
      name: "visitor",
      args: [
        ...`sidecar --service visitor --instance-id visitor --upstream frontend:8080 ${FREE}`.split(" "),
        "--state-dir",
        join(directory, "visitor"),
      ],
    },
  ];
}

/** Starts every instance at once; each waits for what it needs. When one fails, those that started are stopped. */
export async function startShop(options: ShopOptions): Promise<readonly WorkloadChild[]> {
  const environment = { ...options.environment, TULLE_SERVER: options.server };
  const starting = members(options.directory).map(({ name, args }) =>
    startChild<WorkloadReady>({
      name,
      args,
      environment,
      logDirectory: options.directory,
      clock: options.clock,
    }),
  );
  const results = await Promise.allSettled(starting);
  const started = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = results.find((result) => result.status === "rejected");
  if (failed === undefined) return started;
  await Promise.all(started.map((child) => child.stop()));
  throw failed.reason;
}

/** Whether the shop speaks Python too. */
export function hasPython(): boolean {
  return spawnSync("python3", ["-c", "import http.server"], { stdio: "ignore" }).status === 0;
}

/** What the demo applies: it repeats part of the shop's own configuration, so that it stands apart from that. */
export const CANARY_FILE = join(EXAMPLES, "demo", "canary.yaml");
