import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { Network, OUTSIDE_ADDRESS, OUTSIDE_ADDRESS_IPV6, whyNoNetworks } from "./support/network.js";
import { NetworkCommands, SIDECAR_USER } from "./support/network-commands.js";
import type { TulleProcess } from "./support/tulle-process.js";

const APP_USER = 1000;
/** What must reach the network before the sidecar does. */
const INIT_USER = 1001;
const OUTSIDE = fileURLToPath(new URL("support/apps/outside.mjs", import.meta.url));
const PORTS = ["--http-port", "8500", "--dns-port", "8600", "--xds-port", "15012"];
const SHELL = ["sidecar", "--service", "shell", "--instance-id", "shell", "--intercept"];

const reason = whyNoNetworks();

describe.skipIf(reason !== "")(
  `before the first configuration${reason === "" ? "" : ` (skipped: ${reason})`}`,
  () => {
    let network: Network;
    let commands: NetworkCommands;
    let sidecar: TulleProcess;
    let control: TulleProcess;

    const curl = (user: number, url: string) =>
      network.run(user, "curl", "--noproxy", "*", "--silent", "--max-time", "8", url);

    /** Whether the application reaches a server that the mesh does not know. */
    async function passes(user = APP_USER): Promise<boolean> {
      return (await curl(user, "http://outside.example:8081/")).code === 0;
    }

    const own = async (url: string): Promise<string> => (await curl(SIDECAR_USER, url)).output;

    async function listening(started: TulleProcess): Promise<void> {
      await eventually(async () => {
        if (!started.running) throw new Error(`the sidecar has ended: ${started.output}`);
        return (await curl(SIDECAR_USER, "http://127.0.0.1:15000/ready")).code === 0 || undefined;
      });
    }

    beforeAll(async () => {
      network = new Network();
      commands = new NetworkCommands(network);
      network.startOutside(process.execPath, OUTSIDE, OUTSIDE_ADDRESS, OUTSIDE_ADDRESS_IPV6);
      await eventually(async () => (await passes()) || undefined);
      await commands.run("intercept", "up", "--exclude-users", String(INIT_USER));
    }, 60_000);

    afterAll(() => commands.end());

    test("users whose connections are left alone, and the sidecar's, reach the network before it", async () => {
      expect(await passes()).toBe(false);
      expect(await passes(INIT_USER)).toBe(true);
      expect(await passes(SIDECAR_USER)).toBe(true);
    });

    test("a sidecar that fails open carries redirected connections, says so, and ends that with its configuration", async () => {
      // Nobody takes what is redirected.
      expect(await passes()).toBe(false);
      sidecar = commands.begin("shell", [...SHELL, "--fail-open"], SIDECAR_USER);
      await listening(sidecar);
      expect(await passes()).toBe(true);
      expect(await own("http://127.0.0.1:15000/ready")).toBe(
        "PRE_INITIALIZING\nFAIL OPEN: redirected connections pass by the mesh\n",
      );
      expect(await own("http://127.0.0.1:15020/metrics")).toMatch(/^tulle_fail_open 1$/m);
      expect(sidecar.output).toContain("FAIL OPEN");
      const options = [
        "--data-dir",
        `${commands.directory}/data`,
        "--outbound-traffic-policy",
        "REGISTRY_ONLY",
      ];
      control = await commands.start("control-plane", ["up", ...options, ...PORTS]);
      await sidecar.ready();
      expect(await own("http://127.0.0.1:15000/ready")).toBe("LIVE\n");
      expect(await own("http://127.0.0.1:15020/metrics")).toMatch(/^tulle_fail_open 0$/m);
      expect(await passes()).toBe(false);
      expect(sidecar.output).toContain("fail open is over");
    });

    test("once it has been configured it is never open again, without its configuration neither", async () => {
      await control.stop();
      await sidecar.stop();
      const again = commands.begin("again", [...SHELL, "--fail-open"], SIDECAR_USER);
      await listening(again);
      expect(await passes()).toBe(false);
      expect(again.output).not.toContain("FAIL OPEN");
    });
  },
);
