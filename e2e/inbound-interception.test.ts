import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { WebAnswer } from "./support/http.js";
import { WEB } from "./support/mesh.js";
import { MESH_ADDRESS, MESH_ADDRESS_IPV6, Network, whyNoNetworks, type Ran } from "./support/network.js";
import { NetworkCommands, SIDECAR_USER } from "./support/network-commands.js";

const APP_USER = 1000;
const APP_PORT = 9080;
const OTHER_PORT = 9090;
const GREETER = fileURLToPath(new URL("support/apps/banner.mjs", import.meta.url));
const PORTS = ["--http-port", "8500", "--dns-port", "8600", "--xds-port", "15012"];

const reason = whyNoNetworks();
const noIptables = spawnSync("iptables-restore", ["--version"]).error !== undefined;

/** Without what changes from one listing to the next: times and counts. */
function ruleLines(saved: string): readonly string[] {
  return saved.split("\n").filter((line) => line.startsWith("-A"));
}

describe.skipIf(reason !== "")(`inbound interception${reason === "" ? "" : ` (skipped: ${reason})`}`, () => {
  let network: Network;
  let directory: string;
  let commands: NetworkCommands;

  /** What somebody does who is not of the mesh. */
  function curl(...args: readonly string[]): Promise<Ran> {
    return network.runOutside("curl", "--noproxy", "*", "--silent", "--max-time", "8", ...args);
  }

  /** What a process on the application's own machine does. */
  function curlInside(user: number, ...args: readonly string[]): Promise<Ran> {
    return network.run(user, "curl", "--noproxy", "*", "--silent", ...args);
  }

  /** Calls the application's own port. */
  async function ask(host: string): Promise<WebAnswer | undefined> {
    const { code, output } = await curl("--fail", `http://${host}:${APP_PORT}/hello`);
    return code === 0 ? (JSON.parse(output) as WebAnswer) : undefined;
  }

  async function metric(name: string, label: string): Promise<number> {
    const { output } = await curlInside(SIDECAR_USER, "http://127.0.0.1:15020/metrics");
    const line = output.split("\n").find((text) => text.startsWith(`${name}{${label}}`));
    return Number(line?.split(" ")[1] ?? 0);
  }

  const redirected = (to: string) => metric("tulle_redirected_inbound_connections_total", `to="${to}"`);

  async function peerAuthentication(mode: string): Promise<void> {
    const object = {
      apiVersion: "security.istio.io/v1",
      kind: "PeerAuthentication",
      metadata: { name: "default" },
      spec: { mtls: { mode } },
    };
    const file = join(directory, "policy.yaml");
    writeFileSync(file, JSON.stringify(object));
    await commands.run("apply", "-f", file);
  }

  beforeAll(async () => {
    network = new Network();
    commands = new NetworkCommands(network);
    ({ directory } = commands);
    await commands.start("control-plane", ["up", "--data-dir", join(directory, "data"), ...PORTS]);
    network.startInside(APP_USER, { PORT: String(APP_PORT), LISTEN: "::", INSTANCE_ID: "web" }, ...WEB);
    network.startInside(
      APP_USER,
      { PORT: String(OTHER_PORT), LISTEN: "::", INSTANCE_ID: "other" },
      process.execPath,
      GREETER,
    );
    const reviews = ["--service", "reviews", "--port", String(APP_PORT), "--address", MESH_ADDRESS];
    await commands.start("reviews", ["sidecar", ...reviews, "--intercept", "--workers", "2"], SIDECAR_USER);
    await commands.run("intercept", "up", "--include-inbound-ports", "all");
  }, 60_000);

  afterAll(() => commands.end());

  test("what others send to the application's port goes through the sidecar, however its machine is addressed", async () => {
    await eventually(() => ask(MESH_ADDRESS));
    for (const host of [MESH_ADDRESS, `[${MESH_ADDRESS_IPV6}]`, network.linkLocalHost]) {
      const before = await redirected("service");
      const answer = await ask(host);
      expect(answer?.url).toBe("/hello");
      // Given by the sidecar.
      expect(answer?.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
      expect(await redirected("service")).toBe(before + 1);
    }
  });

  test("other sidecars call the sidecar's own port and say by name which service they mean", async () => {
    const ports = ["outbound", "inbound", "admin", "metrics", "readiness"].flatMap((name) => [
      `--${name}-port`,
      "0",
    ]);
    const upstream = ["--upstream", `reviews:${APP_PORT}=19080`];
    await commands.start("shell", ["sidecar", "--service", "shell", ...upstream, ...ports], SIDECAR_USER);
    const before = await redirected("service");
    const { output } = await curlInside(APP_USER, "--fail", "http://127.0.0.1:19080/");
    expect((JSON.parse(output) as WebAnswer).headers["x-forwarded-client-cert"]).toContain("/sa/shell");
    expect(await redirected("service")).toBe(before);
  });

  test("a port that no service declares is reached as before, its server speaking first", async () => {
    for (const host of [MESH_ADDRESS, `[${MESH_ADDRESS_IPV6}]`, network.linkLocalHost]) {
      const before = await redirected("passthrough");
      const { output } = await curl("--http0.9", "--max-time", "1", `http://${host}:${OTHER_PORT}/`);
      expect(output).toContain("220 other ready");
      expect(await redirected("passthrough")).toBe(before + 1);
    }
  });

  test("AZ-14: the sidecar's own ports are shown to nobody", async () => {
    for (const host of [MESH_ADDRESS, `[${MESH_ADDRESS_IPV6}]`, network.linkLocalHost]) {
      for (const port of [15_000, 15_001, 15_020, 15_053, 8500]) {
        expect((await curl(`http://${host}:${port}/`)).code, `${host}:${port}`).not.toBe(0);
      }
    }
  });

  test("an application that calls itself or its neighbour on the machine is left alone", async () => {
    const before = await redirected("service");
    for (const host of ["127.0.0.1", MESH_ADDRESS, "[::1]"]) {
      const { code } = await curlInside(APP_USER, "--fail", `http://${host}:${APP_PORT}/`);
      expect(code, host).toBe(0);
    }
    expect(await redirected("service")).toBe(before);
  });

  test("AZ-14: under STRICT nobody without a certificate gets in, by no port", async () => {
    await peerAuthentication("STRICT");
    await eventually(async () => (await ask(MESH_ADDRESS)) === undefined);
    expect(await ask(`[${MESH_ADDRESS_IPV6}]`)).toBeUndefined();
    const { output } = await curl("--http0.9", "--max-time", "1", `http://${MESH_ADDRESS}:${OTHER_PORT}/`);
    expect(output).toBe("");
    expect(await redirected("refused")).toBeGreaterThan(0);
    await peerAuthentication("PERMISSIVE");
    await eventually(() => ask(MESH_ADDRESS));
  });

  test("inbound ports and clients that are excluded go past the sidecar", async () => {
    for (const options of [
      ["--exclude-inbound-ports", String(APP_PORT)],
      ["--exclude-inbound-networks", "10.211.0.0/24,fd00:211::/64"],
      ["--include-inbound-networks", "192.0.2.0/24"],
    ]) {
      await commands.run("intercept", "up", "--include-inbound-ports", "all", ...options);
      const before = await redirected("service");
      for (const host of [MESH_ADDRESS, `[${MESH_ADDRESS_IPV6}]`]) {
        expect((await ask(host))?.headers["x-request-id"], options.join(" ")).toBeUndefined();
      }
      expect(await redirected("service")).toBe(before);
    }
    await commands.run("intercept", "up", "--include-inbound-ports", String(OTHER_PORT));
    expect((await ask(MESH_ADDRESS))?.headers["x-request-id"]).toBeUndefined();
  });

  test.skipIf(noIptables)(
    `iptables redirects as nftables does, and is left as it was${noIptables ? " (skipped: iptables is not installed)" : ""}`,
    async () => {
      const saved = async (): Promise<string> => {
        const both = await Promise.all(
          ["iptables-save", "ip6tables-save"].map((program) => network.run(0, program, "-t", "nat")),
        );
        return both.map(({ output }) => output).join("");
      };
      await commands.run("intercept", "up", "--include-inbound-ports", "all");
      const rules = ["--backend", "iptables", "--include-inbound-ports", "all"];
      await commands.run("intercept", "up", ...rules);
      const once = ruleLines(await saved());
      await commands.run("intercept", "up", ...rules);
      expect(ruleLines(await saved())).toEqual(once);
      const shown = await commands.run("intercept", "show");
      expect(shown).toContain("-A TULLE_PREROUTING -p tcp -j REDIRECT --to-ports 15006");
      // Those of nft have gone: both together would be one too many.
      expect(shown).not.toContain("table inet");
      for (const host of [MESH_ADDRESS, `[${MESH_ADDRESS_IPV6}]`]) {
        const before = await redirected("service");
        await eventually(() => ask(host));
        expect(await redirected("service")).toBe(before + 1);
      }
      await commands.run("intercept", "down");
      await commands.run("intercept", "down");
      expect(await saved()).not.toContain("TULLE");
      expect(await commands.run("intercept", "show")).toContain("nothing is intercepted");
      expect((await ask(MESH_ADDRESS))?.headers["x-request-id"]).toBeUndefined();
    },
  );
});
