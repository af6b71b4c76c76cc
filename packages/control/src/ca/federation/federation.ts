import { readFile } from "node:fs/promises";
import { request } from "node:https";
import type { TLSSocket } from "node:tls";

import {
  Backoff,
  DisposableStack,
  isTrustDomain,
  MeshError,
  MutableDisposable,
  parseSpiffeId,
  type Clock,
  type Disposable,
  type Logger,
  type Timer,
} from "@tulle/base";
import { peerChain, TrustBundles, verifySvid } from "@tulle/base/spiffe";

import type { Coordination } from "../../stores/coordination.js";
import type { FederatedBundle, MeshTrust } from "../mesh-trust.js";
import { parseBundle, type BundleDocument } from "./bundle-document.js";

/** Another trust domain whose workloads are let in. */
export interface FederatedTrustDomain {
  readonly trustDomain: string;
  /** `https://…`: where its bundle is served. Undefined: only `bundleFile` counts. */
  readonly endpoint?: string;
  /**
   * How the endpoint is known: `https_spiffe` (default) by its SVID, `https_web` by a certificate for its host name that
   * this machine trusts.
   */
  readonly profile?: "https_spiffe" | "https_web";
  /** SPIFFE id of the endpoint, with `https_spiffe`. Default: the control plane's of a Tulle mesh. */
  readonly endpointSpiffeId?: string;
  /** Its bundle in a file, to begin with: needed for `https_spiffe`, whose first fetch must know whom to trust. */
  readonly bundleFile?: string;
}

export interface FederationOptions {
  readonly domains: readonly FederatedTrustDomain[];
  readonly trust: MeshTrust;
  /** Names of the own mesh, which nobody else may have. */
  readonly ownDomains: readonly string[];
  readonly coordination: Coordination;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

const PREFIX = "ca/federation/";
const DEFAULT_REFRESH_MS = 300_000;
const MIN_REFRESH_MS = 10_000;
const MAX_REFRESH_MS = 3_600_000;
const TIMEOUT_MS = 10_000;
const MAX_BYTES = 1 << 20;

/** Keeps the bundles of other trust domains: fetched again and again, the last good one kept through restarts. */
export class Federation implements Disposable {
  readonly #options: FederationOptions;
  readonly #owned = new DisposableStack();
  readonly #bundles = new Map<string, BundleDocument>();

  private constructor(options: FederationOptions) {
    this.#options = options;
  }

  /** Errors: `invalid` CA_FEDERATION, CA_BUNDLE. */
  static async open(options: FederationOptions): Promise<Federation> {
    const federation = new Federation(options);
    const { domains, ownDomains } = options;
    domains.forEach((domain, index) => {
      const again = domains.findIndex(({ trustDomain }) => trustDomain === domain.trustDomain) !== index;
      check(domain, again, ownDomains);
    });
    for (const domain of domains) await federation.#begin(domain);
    federation.#publish();
    for (const domain of domains)
      if (domain.endpoint !== undefined) federation.#follow(domain, domain.endpoint);
    return federation;
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }

  /** What is known from before, else what the file says. */
  async #begin({ trustDomain, bundleFile, endpoint }: FederatedTrustDomain): Promise<void> {
    const kept =
      endpoint === undefined ? undefined : await this.#options.coordination.get(PREFIX + trustDomain);
    if (kept !== undefined) {
      this.#bundles.set(trustDomain, parseBundle(Buffer.from(kept.value).toString()));
      return;
    }
    if (bundleFile === undefined) return;
    const text = await readFile(bundleFile, "utf8").catch((cause: unknown) => {
      throw new MeshError("invalid", "CA_FEDERATION", `cannot read the bundle ${bundleFile}`, { cause });
    });
    this.#bundles.set(trustDomain, parseBundle(text));
  }

  #follow(domain: FederatedTrustDomain, endpoint: string): void {
    const { clock, random, logger } = this.#options;
    const timer = this.#owned.use(new MutableDisposable<Timer>());
    const backoff = new Backoff({ baseMs: 5000, maxMs: DEFAULT_REFRESH_MS }, random);
    const fetch = async (): Promise<void> => {
      let nextMs: number;
      try {
        nextMs = await this.#refresh(domain, endpoint);
        backoff.reset();
      } catch (thrown) {
        nextMs = backoff.next();
        logger.warn("cannot fetch the bundle of another trust domain; the last good one counts", {
          trustDomain: domain.trustDomain,
          retryInMs: Math.round(nextMs),
          error: thrown,
        });
      }
      timer.value = clock.setTimeout(() => void fetch(), nextMs, { keepAlive: false });
    };
    timer.value = clock.setTimeout(() => void fetch(), 0, { keepAlive: false });
  }

  /** Returns when to look again, milliseconds. */
  async #refresh(domain: FederatedTrustDomain, endpoint: string): Promise<number> {
    const { trustDomain } = domain;
    const before = this.#bundles.get(trustDomain);
    const text = await fetchBundle(domain, endpoint, before, this.#options.clock.now());
    const bundle = parseBundle(text);
    if ((bundle.sequence ?? 0) < (before?.sequence ?? 0))
      throw new MeshError("invalid", "CA_BUNDLE", "the bundle is older than the one that is known");
    const changed = bundle.x509Pem !== before?.x509Pem || bundle.jwks !== before.jwks;
    if (changed || bundle.sequence !== before?.sequence) {
      this.#bundles.set(trustDomain, bundle);
      await this.#options.coordination.txn(
        [],
        [{ op: "put", key: PREFIX + trustDomain, value: Buffer.from(text) }],
      );
    }
    if (changed) {
      this.#options.logger.info("the bundle of another trust domain has changed", { trustDomain });
      this.#publish();
    }
    const hintMs = (bundle.refreshHint ?? DEFAULT_REFRESH_MS / 1000) * 1000;
    return Math.min(Math.max(hintMs, MIN_REFRESH_MS), MAX_REFRESH_MS);
  }

  #publish(): void {
    const bundles = [...this.#bundles].map(([trustDomain, { x509Pem, jwks }]): FederatedBundle => ({
      trustDomain,
      x509Pem,
      jwks,
    }));
    if (bundles.length > 0) this.#options.trust.federate(bundles);
  }
}

function check(domain: FederatedTrustDomain, again: boolean, ownDomains: readonly string[]): void {
  const { trustDomain, endpoint, profile = "https_spiffe", endpointSpiffeId, bundleFile } = domain;
  const wrong = (why: string): MeshError =>
    new MeshError("invalid", "CA_FEDERATION", `federation with "${trustDomain}": ${why}`);
  if (typeof trustDomain !== "string" || !isTrustDomain(trustDomain)) throw wrong("this is no trust domain");
  if (again || ownDomains.includes(trustDomain))
    throw wrong("the trust domain is named twice, or is this mesh's own");
  if (endpoint === undefined && bundleFile === undefined) throw wrong("give an endpoint or a bundleFile");
  if (endpoint !== undefined && !(URL.canParse(endpoint) && endpoint.startsWith("https://")))
    throw wrong("the endpoint must be https://…");
  if (profile !== "https_spiffe" && profile !== "https_web")
    throw wrong("profile is https_spiffe or https_web");
  if (endpoint !== undefined && profile === "https_spiffe" && bundleFile === undefined)
    throw wrong("https_spiffe needs a bundleFile, to know the endpoint at the first time");
  if (endpointSpiffeId !== undefined && parseSpiffeId(endpointSpiffeId)?.trustDomain !== trustDomain)
    throw wrong("endpointSpiffeId must be an id of that trust domain");
}

/**
 * Not behind the guard of addresses: the operator has written the address, redirects are not followed, and the endpoint must
 * prove a name before anything is sent, which no metadata service can.
 */
function fetchBundle(
  { trustDomain, profile = "https_spiffe", endpointSpiffeId }: FederatedTrustDomain,
  endpoint: string,
  known: BundleDocument | undefined,
  nowMs: number,
): Promise<string> {
  const expected = endpointSpiffeId ?? `spiffe://${trustDomain}/ns/istio-system/sa/istiod`;
  const spiffe = profile === "https_spiffe";
  const roots = known?.x509Pem ?? "";
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void => {
      call.destroy();
      reject(new MeshError("unavailable", "CA_BUNDLE_FETCH", `${endpoint}: ${why}`, { cause }));
    };
    const call = request(
      endpoint,
      {
        agent: false,
        timeout: TIMEOUT_MS,
        minVersion: "TLSv1.2",
        // Whose name it is, is judged by the SVID below.
        ...(spiffe && { ca: roots, checkServerIdentity: () => undefined }),
      },
      (response) => {
        if (response.statusCode !== 200) return fail(`status ${response.statusCode}`);
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString();
          if (text.length > MAX_BYTES) fail("the bundle is too large");
        });
        response.on("error", (error) => fail(error.message, error));
        response.on("end", () => resolve(text));
      },
    );
    call.on("socket", (socket) => {
      if (!spiffe) return;
      socket.once("secureConnect", () => {
        const verdict = verifySvid(peerChain((socket as TLSSocket).getPeerCertificate(true)), {
          nowMs,
          bundles: new TrustBundles({ [trustDomain]: roots }),
          spiffeIds: new Set([expected]),
        });
        if (!verdict.ok) fail(verdict.reason);
      });
    });
    call.on("timeout", () => fail("no answer in time"));
    call.on("error", (error) => fail(error.message, error));
    call.end();
  });
}
