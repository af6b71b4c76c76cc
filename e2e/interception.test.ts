import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { WebAnswer } from "./support/http.js";
import { WEB } from "./support/mesh.js";
import { Network, OUTSIDE_ADDRESS, OUTSIDE_ADDRESS_IPV6, whyNoNetworks } from "./support/network.js";
import { pause } from "./support/load.js";
import { NetworkCommands, SIDECAR_USER } from "./support/network-commands.js";
import type { TulleProcess } from "./support/tulle-process.js";

const APP_USER = 1000;
/** Looks like one of the internet. */
const PUBLIC_ADDRESS = "11.211.0.2";
const BANNER = fileURLToPath(new URL("support/apps/banner.mjs", import.meta.url));
const TLS = fileURLToPath(new URL("support/apps/tls.mjs", import.meta.url));
const OUTSIDE = fileURLToPath(new URL("support/apps/outside.mjs", import.meta.url));
const SHOP = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.example]
  resolution: STATIC
  endpoints: [{address: ${OUTSIDE_ADDRESS}}]
  ports: [{number: 8443, name: tls, protocol: TLS}]
`;
const PORTS = ["--http-port", "8500", "--dns-port", "8600", "--xds-port", "15012"];

const reason = whyNoNetworks();
const noDig = spawnSync("dig", ["-v"]).error !== undefined;

describe.skipIf(reason !== "")(`interception${reason === "" ? "" : ` (skipped: ${reason})`}`, () => {
  let network: Network;
  let directory: string;
  let control: TulleProcess;
  let commands: NetworkCommands;
  let shell: TulleProcess;

  async function startControl(policy: string): Promise<void> {
    const data = ["--data-dir", join(directory, "data"), "--outbound-traffic-policy", policy];
    control = await commands.start("control-plane", ["up", ...data, ...PORTS]);
  }

  const intercept = (...args: readonly string[]): Promise<string> => commands.run("intercept", ...args);

  /** A server of TLS outside of the mesh, at port 8443. */
  function startTlsOutside(): void {
    const [key, certificate] = ["key.pem", "cert.pem"].map((name) => join(directory, name));
    const request =
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test".split(" ");
    execFileSync("openssl", [...request, "-out", certificate ?? "", "-keyout", key ?? ""], {
      stdio: "ignore",
    });
    const variables = [`TLS_KEY=${key}`, `TLS_CERT=${certificate}`, "INSTANCE_ID=outside", "PORT=8443"];
    network.startOutside("env", ...variables, `HOST=${OUTSIDE_ADDRESS}`, process.execPath, TLS);
  }

  /** What a client hears that says nothing; "" when it is closed without a word. */
  async function listen(host: string, port: number, family: 4 | 6 = 4): Promise<string> {
    const script = `
      const socket = require("node:net").connect(${JSON.stringify({ port, host, family })});
      socket.once("data", (data) => { console.log(String(data).trim()); process.exit(0); });
      socket.once("close", () => process.exit(1));
      socket.on("error", () => undefined);
    `;
    return (await network.run(APP_USER, process.execPath, "-e", script)).output.trim();
  }

  /** What TLS outside says to who asks for a name, at its address. */
  async function askTls(name: string): Promise<string> {
    const script = `
      const options = { host: ${JSON.stringify(OUTSIDE_ADDRESS)}, port: 8443, servername: ${JSON.stringify(name)} };
      const socket = require("node:tls").connect({ ...options, rejectUnauthorized: false });
      socket.once("data", (data) => { console.log(String(data).trim()); process.exit(0); });
      socket.once("close", () => process.exit(1));
      socket.on("error", () => undefined);
    `;
    return (await network.run(APP_USER, process.execPath, "-e", script)).output.trim();
  }

  /** What the application does: a plain curl. No proxy, no knowledge of the mesh. */
  function curl(
    ...args: readonly string[]
  ): Promise<{ readonly code: number | null; readonly output: string }> {
    return network.run(APP_USER, "curl", "--noproxy", "*", "--silent", "--max-time", "8", ...args);
  }

  async function redirected(to: string): Promise<number> {
    const { output } = await network.run(
      SIDECAR_USER,
      "curl",
      "--noproxy",
      "*",
      "--silent",
      "http://127.0.0.1:15020/metrics",
    );
    const line = output
      .split("\n")
      .find((text) => text.startsWith(`tulle_redirected_connections_total{to="${to}"}`));
    return Number(line?.split(" ")[1] ?? 0);
  }

  beforeAll(async () => {
    network = new Network();
    commands = new NetworkCommands(network);
    ({ directory } = commands);
    network.startOutside(process.execPath, OUTSIDE, OUTSIDE_ADDRESS, OUTSIDE_ADDRESS_IPV6, PUBLIC_ADDRESS);
    startTlsOutside();
    await startControl("ALLOW_ANY");
    const reviews = [
      "--service",
      "reviews",
      "--port",
      "0",
      "--service-port",
      "9080",
      "--health-path",
      "/health",
    ];
    await commands.start("reviews", ["run", ...reviews, "--", ...WEB], SIDECAR_USER);
    for (const [service, ...protocol] of [["banner"], ["declared", "--protocol", "tcp"]] as const) {
      const options = ["--service", service, "--port", "0", "--service-port", "25", "--instance-id", service];
      await commands.start(
        service,
        ["run", ...options, ...protocol, "--", process.execPath, BANNER],
        SIDECAR_USER,
      );
    }
    shell = await commands.start("shell", ["sidecar", "--service", "shell", "--intercept"], SIDECAR_USER);
    await intercept("up");
  }, 60_000);

  afterAll(() => commands.end());

  test("an application without any setting reaches a service by its name, through two sidecars", async () => {
    for (const host of ["reviews", "reviews.default", "reviews.default.svc.cluster.local"]) {
      const { output } = await eventually(async () => {
        const answer = await curl("--fail", `http://${host}:9080/hello`);
        return answer.code === 0 ? answer : undefined;
      });
      const answer = JSON.parse(output) as WebAnswer;
      expect(answer.url).toBe("/hello");
      expect(answer.headers["host"]).toBe(`${host}:9080`);
      // The callee's sidecar saw the caller's certificate.
      expect(answer.headers["x-forwarded-client-cert"]).toContain("/sa/shell");
    }
    expect(await redirected("service")).toBeGreaterThan(2);
  });

  test("names have a virtual IP of IPv6, too, and connections to it arrive", async () => {
    const { output } = await eventually(async () => {
      const answer = await curl(
        "--fail",
        "--ipv6",
        "--write-out",
        "\n%{remote_ip}",
        "http://reviews:9080/six",
      );
      return answer.code === 0 ? answer : undefined;
    });
    const [body = "", remote = ""] = output.trim().split("\n");
    expect((JSON.parse(body) as WebAnswer).url).toBe("/six");
    expect(remote).toMatch(/^2001:2::f0f0:[0-9a-f]+$/);
    expect(await listen("banner", 25, 6)).toBe("220 banner ready");
    // Of a service that is not there.
    expect((await curl("http://[2001:2::f0f0:fffe]:9080/")).code).not.toBe(0);
  });

  test("a request whose Host nobody knows goes to the service that it was sent to", async () => {
    const { code, output } = await curl("--fail", "--header", "Host: nobody.example", "http://reviews:9080/");
    expect(code).toBe(0);
    expect((JSON.parse(output) as WebAnswer).headers["host"]).toBe("nobody.example");
  });

  test("a server that speaks first is heard through its service's virtual IP, declared or not", async () => {
    for (const service of ["banner", "declared"]) {
      for (let time = 0; time < 2; time++) expect(await listen(service, 25)).toBe(`220 ${service} ready`);
    }
    const { output } = await network.run(
      SIDECAR_USER,
      "curl",
      "--silent",
      "http://127.0.0.1:15000/listeners",
    );
    expect(output).toContain("banner.default.svc.cluster.local:25 server-first, timeout 0 ms");
    expect(output).not.toContain("declared.default");
  });

  test("names and destinations outside of the mesh work as before", async () => {
    for (const family of ["--ipv4", "--ipv6"]) {
      const before = await redirected("passthrough");
      expect(await curl("--fail", family, "http://outside.example:8081/")).toEqual({
        code: 0,
        output: "outside saw outside.example:8081",
      });
      expect(await redirected("passthrough")).toBe(before + 1);
    }
    // 6: the name does not resolve.
    expect((await curl("http://nowhere.example/")).code).toBe(6);
  });

  test("who uses the outbound port as a proxy gets tunnels to public addresses, and to no others", async () => {
    // Nobody else's, in namespaces without a way out: only its look matters.
    await network.runOutside("ip", "address", "replace", `${PUBLIC_ADDRESS}/32`, "dev", "lo");
    network.startOutside("env", "PORT=8082", `LISTEN=${PUBLIC_ADDRESS}`, "INSTANCE_ID=public", ...WEB);
    const tunnel = (url: string) =>
      network.run(
        APP_USER,
        "curl",
        "--silent",
        "--max-time",
        "8",
        "--proxytunnel",
        "--proxy",
        "http://127.0.0.1:15001",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_connect} %{http_code}",
        url,
      );
    await eventually(async () => (await tunnel(`http://${PUBLIC_ADDRESS}:8082/`)).output === "200 200");
    for (const at of [
      `${OUTSIDE_ADDRESS}:8081`,
      "outside.example:8081",
      "127.0.0.1:15000",
      "169.254.169.254:80",
    ])
      expect((await tunnel(`http://${at}/`)).output, at).toBe("404 000");
  });

  /** What `http_proxy` makes curl do: the URL is the request's target. */
  const viaProxy = (url: string) =>
    network.run(
      APP_USER,
      "curl",
      "--silent",
      "--max-time",
      "8",
      "--proxy",
      "http://127.0.0.1:15001",
      "--write-out",
      "\n%{http_code}",
      url,
    );

  test("who uses it as a proxy for http URLs reaches hosts on public addresses, by name too, and no others", async () => {
    const { output } = await viaProxy("http://public.example:8082/plain");
    const [body = "", status] = output.split("\n");
    expect(status, body).toBe("200");
    const answer = JSON.parse(body) as WebAnswer;
    expect(answer.url).toBe("/plain");
    expect(answer.headers["host"]).toBe("public.example:8082");
    expect(Object.keys(answer.headers).filter((name) => /^x-(envoy|tulle)-/.test(name))).toEqual([]);
    for (const at of [`${OUTSIDE_ADDRESS}:8081`, "outside.example:8081", "127.0.0.1:15000"])
      expect((await viaProxy(`http://${at}/`)).output, at).toMatch(/\n404$/);
    // A service of the mesh, as before.
    expect((await viaProxy("http://reviews:9080/")).output).toMatch(/\n200$/);
    const metrics = await network.run(APP_USER, "curl", "--silent", "http://127.0.0.1:15020/metrics");
    expect(metrics.output).toMatch(/istio_requests_total\{.*destination_service_name="PassthroughCluster"/);
  });

  const viaSocks = (proxy: string, url: string) =>
    network.run(
      APP_USER,
      "curl",
      "--silent",
      "--max-time",
      "8",
      "--proxy",
      `${proxy}://127.0.0.1:15001`,
      url,
    );

  test("who uses it as a SOCKS proxy reaches services by name, and hosts on public addresses", async () => {
    const service = JSON.parse((await viaSocks("socks5h", "http://reviews:9080/socks")).output) as WebAnswer;
    expect(service.url).toBe("/socks");
    expect(service.headers["x-forwarded-client-cert"]).toContain("/sa/shell");
    for (const [proxy, host] of [
      ["socks5h", "public.example"],
      ["socks5", PUBLIC_ADDRESS],
    ] as const) {
      const { output } = await viaSocks(proxy, `http://${host}:8082/socks`);
      expect((JSON.parse(output) as WebAnswer).instance).toBe("public");
    }
    // 97: the proxy refuses.
    for (const host of ["nobody.default", OUTSIDE_ADDRESS, "127.0.0.1:15000", "169.254.169.254"])
      expect((await viaSocks("socks5h", `http://${host}/`)).code, host).toBe(97);
  });

  test("a connection to the outbound port itself is served and never leads to itself", async () => {
    const named = await curl("--fail", "--header", "Host: reviews:9080", "http://127.0.0.1:15001/");
    expect(named.code).toBe(0);
    const unnamed = await curl(
      "--output",
      "/dev/null",
      "--write-out",
      "%{http_code}",
      "http://127.0.0.1:15001/",
    );
    expect(unnamed.output).toMatch(/^[45]\d\d$/);
  });

  test.skipIf(noDig)(
    `DNS is answered over IPv6, too${noDig ? " (skipped: dig is not installed)" : ""}`,
    async () => {
      for (const transport of ["+notcp", "+tcp"]) {
        const asked = [
          "+short",
          "+time=2",
          "+tries=2",
          transport,
          `@${OUTSIDE_ADDRESS_IPV6}`,
          "reviews.default",
        ];
        const { output } = await network.run(APP_USER, "dig", ...asked);
        expect(output).toMatch(/^240\.240\.\d+\.\d+\n$/);
      }
    },
  );

  test("over IPv6, the sidecar's own port leads to no circle, and its other ports to nobody", async () => {
    for (const host of ["[::1]", "[::ffff:127.0.0.1]"]) {
      const { output } = await curl(
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        `http://${host}:15001/`,
      );
      expect(output).toMatch(/^[45]\d\d$/);
    }
    // 7: refused.
    expect((await curl("http://[fd00:211::1]:15001/")).code).toBe(7);
  });

  test("rules that redirect the sidecar itself end in a closed connection", async () => {
    await intercept("up", "--sidecar-user", "4321");
    const { code } = await curl("http://10.211.0.2:8081/");
    expect(code).not.toBe(0);
    // 28: nothing happened for eight seconds.
    expect(code).not.toBe(28);
    expect(await redirected("loop")).toBeGreaterThan(0);
    await intercept("up");
    expect((await curl("--fail", "http://10.211.0.2:8081/")).code).toBe(0);
  });

  test("intercept leaves alone what it is told to, and takes its rules away without a trace", async () => {
    const before = await redirected("passthrough");
    await intercept("up", "--exclude-ports", "8081");
    expect((await curl("--fail", "http://10.211.0.2:8081/")).code).toBe(0);
    await intercept("up", "--exclude-networks", "10.211.0.0/24");
    expect((await curl("--fail", "http://10.211.0.2:8081/")).code).toBe(0);
    expect(await redirected("passthrough")).toBe(before);
    expect(await intercept("show")).toContain("redirect to :15001");
    await intercept("down");
    await intercept("down");
    expect(await intercept("show")).toContain("nothing is intercepted");
    // 6: nobody but the sidecar knows the name.
    expect((await curl("http://reviews:9080/")).code).toBe(6);
    await intercept("up");
  });

  test("under REGISTRY_ONLY unknown destinations are closed, also for sidecars that run already", async () => {
    await control.stop();
    // Without the control plane, names and services stay.
    expect((await curl("--fail", "http://reviews:9080/")).code).toBe(0);
    await startControl("REGISTRY_ONLY");
    await eventually(async () => (await curl("http://10.211.0.2:8081/")).code !== 0);
    expect((await curl("--fail", "http://reviews:9080/")).code).toBe(0);
    expect(await redirected("refused")).toBeGreaterThan(0);
    expect((await viaProxy("http://public.example:8082/")).output).toMatch(/ServiceEntry[^]*\n502$/);
    expect((await viaSocks("socks5h", "http://public.example:8082/")).code).toBe(97);
  }, 40_000);

  test("under REGISTRY_ONLY, TLS to an unknown address reaches the host that it names, if the mesh knows it", async () => {
    expect(await askTls("shop.example")).toBe("");
    const file = join(directory, "shop.yaml");
    writeFileSync(file, SHOP);
    // Throws unless it exits with 0.
    expect(await commands.run("apply", "-f", file)).toEqual(expect.any(String));
    await eventually(async () => (await askTls("shop.example")) === "outside for shop.example");
    expect(await askTls("other.example")).toBe("");
  }, 40_000);

  test("a new sidecar takes over redirected connections and names, and nobody notices", async () => {
    const failures: string[] = [];
    let asked = 0;
    const load = new AbortController();
    const asking = (async () => {
      while (!load.signal.aborted) {
        // A name that is not answered at once is asked for again after five seconds.
        const { code, output } = await curl("--fail", "--max-time", "3", "http://reviews:9080/");
        asked++;
        if (code !== 0) failures.push(`${code} ${output}`);
      }
    })();
    shell.signal("SIGUSR2");
    await eventually(() => shell.output.includes("has taken over"), 30_000);
    // The former one has left the sockets after a second.
    await pause(2500);
    load.abort();
    await asking;
    expect(failures).toEqual([]);
    expect(asked).toBeGreaterThan(10);
    const own = await network.run(SIDECAR_USER, "curl", "--silent", "http://127.0.0.1:15000/server_info");
    expect(JSON.parse(own.output)).toMatchObject({
      state: "LIVE",
      command_line_options: { restart_epoch: 1 },
    });
    expect(await redirected("service")).toBeGreaterThan(0);
    const { code } = await curl("--fail", "--ipv6", "http://reviews:9080/");
    expect(code).toBe(0);
  }, 60_000);
});
