import type { CliContext } from "../context.js";
import { renderTable } from "../output/table.js";
import type { EdgeRate } from "./scraper.js";
import type { SplitReport } from "./split.js";

export interface ViewModel {
  readonly server: string;
  readonly elapsedSeconds: number;
  readonly requests: number;
  readonly failures: number;
  readonly edges: readonly EdgeRate[];
  readonly split: SplitReport;
  readonly asked: number;
  readonly askedAndGotV1: number;
  readonly instances: readonly { readonly name: string; readonly pid: number; readonly state: string }[];
  readonly message: string;
}

const BAR_WIDTH = 40;

/** The live view as text, one screen of 80 columns and more. */
export function renderView(model: ViewModel, colors: boolean): string {
  const paint = painter(colors);
  const edges = renderTable<EdgeRate>(
    [
      { header: "FROM", cell: ({ edge }) => edge.source },
      { header: "TO", cell: ({ edge }) => `${edge.destination} ${edge.version}` },
      { header: "REQ/S", cell: ({ perSecond }) => perSecond.toFixed(0), align: "right" },
      {
        header: "SUCCESS",
        cell: ({ success }) => (success === undefined ? "-" : `${(success * 100).toFixed(2)} %`),
        align: "right",
      },
      { header: "P50", cell: ({ p50 }) => milliseconds(p50), align: "right" },
      { header: "P99", cell: ({ p99 }) => milliseconds(p99), align: "right" },
      {
        header: "MTLS IDENTITY OF THE CALLEE",
        cell: ({ edge }) => (edge.mutualTls ? edge.destinationPrincipal : "plaintext"),
      },
    ],
    model.edges,
  );
  const { expected, measured, interval, requests, within } = model.split;
  const verdict = within ? paint("green", "as configured") : paint("red", "NOT as configured");
  const failed = model.failures === 0 ? paint("green", "0 failed") : paint("red", `${model.failures} failed`);
  const instances = model.instances.map(
    ({ name, pid, state }) => `${name} (${pid}${state === "" ? "" : `, ${state}`})`,
  );
  return [
    paint(
      "bold",
      `Tulle demo — ${model.requests} requests, ${failed} — ${model.elapsedSeconds.toFixed(0)} s`,
    ),
    "",
    edges,
    "",
    `reviews, visitors without header: v2 gets ${percent(measured)} of ${requests} (configured ${percent(expected)}; 99.9 % interval ${percent(interval.low)} to ${percent(interval.high)}): ${verdict}`,
    `v1 ${bar(1 - measured)} v2`,
    `visitors with header "version: v2": ${model.asked}, of which got v1: ${model.askedAndGotV1}`,
    "",
    `instances: ${instances.join("  ")}`,
    "",
    `${paint("bold", "keys")}  + / - ten points more or less for v2   k kill -9 an instance   b break one with 500s   m mend   q quit`,
    `or in another terminal:  export TULLE_SERVER=${model.server}`,
    `  npx tulle status      npx tulle get vs      kubectl --server ${model.server} edit vs reviews`,
    "",
    model.message,
  ].join("\n");
}

function bar(v1: number): string {
  const filled = Math.round(v1 * BAR_WIDTH);
  return "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? "-" : `${value.toFixed(1)} ms`;
}

const CODES = { bold: 1, red: 31, green: 32 } as const;

function painter(colors: boolean): (style: keyof typeof CODES, text: string) => string {
  return (style, text) => (colors ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text);
}

/** Draws over what was drawn before; the cursor is hidden until `end`. */
export class Screen {
  readonly #context: CliContext;
  #begun = false;

  constructor(context: CliContext) {
    this.#context = context;
  }

  draw(text: string): void {
    // The alternate screen keeps the terminal's own content; home, then each line clears its rest.
    const begin = this.#begun ? "" : "\u001b[?1049h\u001b[?25l";
    this.#begun = true;
    const lines = text.split("\n").map((line) => `${line}\u001b[K\n`);
    this.#context.out(`${begin}\u001b[H${lines.join("")}\u001b[J`);
  }

  end(): void {
    if (this.#begun) this.#context.out("\u001b[?25h\u001b[?1049l");
    this.#begun = false;
  }
}
