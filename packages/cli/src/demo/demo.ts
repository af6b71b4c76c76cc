import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { MeshError, type Clock } from "@tulle/base";
import { createClient, type Client } from "@tulle/client";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { aborted, endingSignal } from "../signals.js";
import { applyFile, configuredShare, setShare } from "./canary.js";
import { startChild, type Child } from "./child.js";
import { readKeys } from "./keys.js";
import { startLoad, type Sample } from "./load.js";
import { Scraper } from "./scraper.js";
import { CANARY_FILE, startShop, type WorkloadChild } from "./shop.js";
import { SplitCounter } from "./split.js";
import { summarize, type DemoSummary } from "./summary.js";
import { renderView, Screen } from "./view.js";

export interface DemoOptions {
  /** Undefined: until the user ends it. */
  readonly durationMs: number | undefined;
  readonly json: boolean;
  readonly requestsPerSecond: number;
}

interface ControlReady {
  readonly addresses: { readonly http: string };
}

/** One in ten visitors asks for v2 by header. */
const ASKED_SHARE = 0.1;
const REFRESH_MS = 1000;
const FIRST_REQUEST_TIMEOUT_MS = 20_000;
/** The first answer may have to wait until every sidecar has its configuration. */
const PROBE_EVERY_MS = 25;

const NO_SPARE = "only one instance of each version is well: more would be an outage";

/** Runs the demo from start to end; gives the exit code. */
export async function runDemo(options: DemoOptions, context: CliContext): Promise<number> {
  const startedAt = context.clock.monotonic();
  const directory = mkdtempSync(join(tmpdir(), "tulle-demo-"));
  const children: Child<unknown>[] = [];
  const ending = endingSignal();
  try {
    const demo = await startDemo(options, context, directory, children, startedAt);
    await demo.run(Promise.race([ending, aborted(context.unread)]));
    const summary = await demo.finish();
    context.out(options.json ? `${JSON.stringify(summary, null, 2)}\n` : describeSummary(summary));
    return summary.ok ? EXIT.ok : EXIT.failed;
  } finally {
    // Callers before callees, the control plane last: nobody is left calling into nothing.
    for (const child of children.slice(1).reverse()) void child.stop();
    await Promise.all(children.slice(1).map((child) => child.stop()));
    await children[0]?.stop();
    rmSync(directory, { recursive: true, force: true });
    ending[Symbol.dispose]();
  }
}

async function startDemo(
  options: DemoOptions,
  context: CliContext,
  directory: string,
  children: Child<unknown>[],
  startedAt: number,
): Promise<Demo> {
  const { clock } = context;
  const say = (text: string): void => (options.json ? undefined : context.err(`${text}\n`));
  say("starting the control plane …");
  const environment = { ...process.env };
  const control = await startChild<ControlReady>({
    name: "control-plane",
    args: [
      "up",
      "--data-dir",
      join(directory, "data"),
      "--http-port",
      "0",
      "--dns-port",
      "0",
      "--xds-port",
      "0",
    ],
    environment,
    logDirectory: directory,
    clock,
  });
  children.push(control);
  const server = `http://${control.ready.addresses.http}`;
  const client = createClient({ server });
  await applyFile(client, CANARY_FILE);
  say(`control plane at ${server}; starting the shop: frontend → reviews v1, v2 → ratings …`);
  const shop = await startShop({ server, directory, environment, clock });
  children.push(...shop);
  const visitor = shop.find((child) => child.name === "visitor");
  const entrance = visitor?.ready.addresses.upstreams[0];
  if (entrance === undefined)
    throw new MeshError("internal", "CLI_DEMO_ENTRANCE", "the visitor's sidecar has no upstream");
  const url = `http://${entrance.host}:${entrance.port}/`;
  await firstAnswer(url, clock);
  const firstRequestMs = clock.monotonic() - startedAt;
  say(`first request through the mesh after ${(firstRequestMs / 1000).toFixed(1)} s`);
  return new Demo({
    options,
    context,
    client,
    server,
    shop,
    url,
    firstRequestMs,
    share: await configuredShare(client),
  });
}

interface DemoParts {
  readonly options: DemoOptions;
  readonly context: CliContext;
  readonly client: Client;
  readonly server: string;
  readonly shop: readonly WorkloadChild[];
  readonly url: string;
  readonly firstRequestMs: number;
  readonly share: number;
}

/** The running demo: counts what visitors get, shows it, obeys the keys. */
class Demo {
  readonly #parts: DemoParts;
  readonly #scraper: Scraper;
  readonly #split: SplitCounter;
  readonly #startedAt: number;
  readonly #broken = new Set<WorkloadChild>();
  #requests = 0;
  #failures = 0;
  #firstError = "";
  #message = "";
  #share: number;
  #endedAt = 0;

  constructor(parts: DemoParts) {
    this.#parts = parts;
    this.#scraper = new Scraper(parts.shop);
    this.#split = new SplitCounter(parts.share);
    this.#share = parts.share;
    this.#startedAt = parts.context.clock.monotonic();
  }

  /** Sends visitors until the time is up or `ending` resolves. */
  async run(ending: Promise<unknown>): Promise<void> {
    const { options, context, url } = this.#parts;
    const { clock } = context;
    let quit: () => void = () => undefined;
    const quitKey = new Promise<void>((resolve) => (quit = resolve));
    const interactive = !options.json && context.colors && process.stdin.isTTY;
    const screen = interactive ? new Screen(context) : undefined;
    const keys = interactive
      ? readKeys(process.stdin, (key) => (key === "q" ? quit() : this.#press(key)))
      : undefined;
    const load = startLoad({
      url,
      clock,
      requestsPerSecond: options.requestsPerSecond,
      askedShare: ASKED_SHARE,
      onSample: (sample) => this.#count(sample),
    });
    let refreshing = false;
    const refresh = clock.setInterval(() => {
      if (refreshing) return;
      refreshing = true;
      void this.#refresh(screen).finally(() => (refreshing = false));
    }, REFRESH_MS);
    const timeIsUp = new Promise<void>((resolve) => {
      if (options.durationMs !== undefined)
        clock.setTimeout(resolve, options.durationMs, { keepAlive: false });
    });
    await Promise.race([ending, quitKey, timeIsUp]);
    load[Symbol.dispose]();
    await load.idle();
    this.#endedAt = clock.monotonic();
    refresh[Symbol.dispose]();
    keys?.[Symbol.dispose]();
    screen?.end();
  }

  async finish(): Promise<DemoSummary> {
    const { context, firstRequestMs } = this.#parts;
    await this.#scraper.read(context.clock.monotonic());
    return summarize({
      durationMs: this.#endedAt - this.#startedAt,
      firstRequestMs,
      requests: this.#requests,
      failures: this.#failures,
      firstError: this.#firstError,
      split: this.#split.report(),
      asked: this.#split.asked,
      askedAndGotV1: this.#split.askedAndGotV1,
      edges: this.#scraper.edges(),
    });
  }

  #count(sample: Sample): void {
    this.#requests++;
    this.#split.count(sample);
    if (sample.status === 200) return;
    this.#failures++;
    this.#firstError ||= `${sample.status === 0 ? "no answer" : `status ${sample.status}`}: ${sample.error.trim()}`;
  }

  async #refresh(screen: Screen | undefined): Promise<void> {
    const { context, client, server, shop } = this.#parts;
    const now = context.clock.monotonic();
    try {
      this.#share = await configuredShare(client);
      this.#split.expect(this.#share, context.clock.monotonic());
    } catch (thrown) {
      this.#message = MeshError.from(thrown).message;
    }
    const edges = await this.#scraper.read(now);
    screen?.draw(
      renderView(
        {
          server,
          elapsedSeconds: (now - this.#startedAt) / 1000,
          requests: this.#requests,
          failures: this.#failures,
          edges,
          split: this.#split.report(),
          asked: this.#split.asked,
          askedAndGotV1: this.#split.askedAndGotV1,
          instances: shop.map((child) => ({ name: child.name, pid: child.pid, state: this.#stateOf(child) })),
          message: this.#message,
        },
        context.colors,
      ),
    );
  }

  #press(key: string): void {
    const act = (message: string, action: Promise<unknown>): void => {
      this.#message = message;
      action.catch((thrown: unknown) => (this.#message = MeshError.from(thrown).message));
    };
    const points = Math.round(this.#share * 100);
    if (key === "+" || key === "-") {
      const next = Math.min(100, Math.max(0, points + (key === "+" ? 10 : -10)));
      act(`v2 gets ${next} of 100 from now on`, setShare(this.#parts.client, next));
    } else if (key === "k") {
      const victim = this.#spare();
      victim?.signal("SIGKILL");
      this.#message = victim === undefined ? NO_SPARE : `killed ${victim.name} (kill -9)`;
    } else if (key === "b") {
      const victim = this.#spare();
      if (victim === undefined) this.#message = NO_SPARE;
      else act(`${victim.name} answers 500 from now on`, this.#setFault(victim, 500));
    } else if (key === "m") {
      const [broken] = this.#broken;
      if (broken === undefined) this.#message = "none is broken";
      else act(`${broken.name} is mended`, this.#setFault(broken, 0));
    }
  }

  /** An instance of reviews that can be done without: another of its version is well. */
  #spare(): WorkloadChild | undefined {
    const well = this.#parts.shop.filter(
      (child) => child.ready.service === "reviews" && child.running && !this.#broken.has(child),
    );
    return well.find((child) =>
      well.some((other) => other !== child && other.ready.version === child.ready.version),
    );
  }

  async #setFault(child: WorkloadChild, status: number): Promise<void> {
    await put(`http://127.0.0.1:${child.ready.appPort ?? 0}/fault?status=${status}`);
    if (status === 0) this.#broken.delete(child);
    else this.#broken.add(child);
  }

  #stateOf(child: WorkloadChild): string {
    if (!child.running) return "gone";
    return this.#broken.has(child) ? "broken" : "";
  }
}

/** Asks until the front page is there: that is the first request through the mesh. */
async function firstAnswer(url: string, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + FIRST_REQUEST_TIMEOUT_MS;
  for (;;) {
    const answer = await ask("GET", url);
    if (answer.status === 200) return;
    if (clock.monotonic() > deadline) {
      throw new MeshError("timeout", "CLI_DEMO_FIRST_REQUEST", `the shop does not answer: ${answer.body}`);
    }
    await new Promise<void>((resolve) => clock.setTimeout(resolve, PROBE_EVERY_MS));
  }
}

async function put(url: string): Promise<void> {
  const { status, body } = await ask("PUT", url);
  if (status !== 200)
    throw new MeshError("unavailable", "CLI_DEMO_FAULT", `the instance did not obey: ${body}`);
}

function ask(method: string, url: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve) => {
    const call = request(url, { method, agent: false, timeout: 5000 }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => (body = body.length < 1000 ? body + chunk : body));
      answer.on("error", (error) => resolve({ status: 0, body: error.message }));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    call.on("timeout", () => call.destroy(new Error("no answer in time")));
    call.on("error", (error) => resolve({ status: 0, body: error.message }));
    call.end();
  });
}

function describeSummary(summary: DemoSummary): string {
  const { requests, failures, split, firstRequestSeconds, problems } = summary;
  const share = (value: number): string => `${(value * 100).toFixed(1)} %`;
  return [
    `${requests} requests, ${failures} failed; first request through the mesh after ${firstRequestSeconds} s`,
    `v2 got ${share(split.measured)} of ${split.requests} visitors, configured ${share(split.expected)} (${share(split.interval.low)} to ${share(split.interval.high)})`,
    ...problems.map((problem) => `PROBLEM: ${problem}`),
    "",
  ].join("\n");
}
