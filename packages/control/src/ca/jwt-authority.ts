import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";

import { Emitter, MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";

import type { Coordination } from "../stores/coordination.js";

const KEYS = "ca/jwt-keys";
const DAY_MS = 86_400_000;
/** A new key is made when the newest is this old, milliseconds … */
const NEW_KEY_AFTER_MS = 30 * DAY_MS;
/** … and signs after this long, when everybody knows it, milliseconds. */
const PUBLISHED_FIRST_MS = DAY_MS;
/** Life of a token, milliseconds. SPIRE's. */
export const JWT_SVID_TTL_MS = 300_000;
/** Audiences of one token, and characters of one. */
const MAX_AUDIENCES = 16;
const MAX_AUDIENCE_LENGTH = 1024;

interface StoredKey {
  readonly kid: string;
  /** PKCS#8, PEM. */
  readonly privateKeyPem: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export interface JwtAuthorityOptions {
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Signs JWT-SVIDs (ES256) with keys of its own in the store, which follow each other as the roots do. */
export class JwtAuthority implements Disposable {
  readonly #options: JwtAuthorityOptions;
  readonly #changed = new Emitter<void>();
  readonly #watch: Disposable;
  #keys: readonly StoredKey[];

  private constructor(options: JwtAuthorityOptions, keys: readonly StoredKey[]) {
    this.#options = options;
    this.#keys = keys;
    this.#watch = options.coordination.watch(KEYS, ({ kv }) => {
      this.#keys = parse(kv.value);
      this.#changed.emit();
    });
  }

  readonly onChanged = this.#changed.event;

  /** Loads the keys, or makes the first. Errors: `invalid` CA_JWT_KEYS. */
  static async open(options: JwtAuthorityOptions): Promise<JwtAuthority> {
    const authority = new JwtAuthority(options, await load(options));
    await authority.#renew();
    return authority;
  }

  /** The keys that tokens are verified with: a JWK Set, JSON. */
  get jwks(): string {
    return JSON.stringify({ keys: publicKeys(this.#keys) });
  }

  /** A JWT-SVID (JWT-SVID sections 2 and 3). Errors: `invalid` CA_AUDIENCE. */
  async sign(spiffeId: string, audience: readonly string[]): Promise<string> {
    const wrong = audience.some((one) => one === "" || one.length > MAX_AUDIENCE_LENGTH);
    if (audience.length === 0 || audience.length > MAX_AUDIENCES || wrong) {
      throw new MeshError("invalid", "CA_AUDIENCE", `name 1 to ${MAX_AUDIENCES} audiences of a token`);
    }
    await this.#renew();
    const key = this.#signing();
    const nowS = Math.floor(this.#options.clock.now() / 1000);
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const head = encode({ alg: "ES256", kid: key.kid, typ: "JWT" });
    const claims = { sub: spiffeId, aud: audience, iat: nowS, exp: nowS + JWT_SVID_TTL_MS / 1000 };
    const signed = `${head}.${encode(claims)}`;
    const signature = sign("sha256", Buffer.from(signed), {
      key: createPrivateKey(key.privateKeyPem),
      dsaEncoding: "ieee-p1363",
    });
    return `${signed}.${signature.toString("base64url")}`;
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  /** The newest key that everybody knows. */
  #signing(): StoredKey {
    const nowMs = this.#options.clock.now();
    const known = this.#keys.filter(({ createdAt }) => nowMs - createdAt >= PUBLISHED_FIRST_MS);
    const key = known.at(-1) ?? this.#keys[0];
    if (key === undefined) throw new MeshError("internal", "CA_JWT_KEYS", "there is no key for JWT-SVIDs");
    return key;
  }

  /** Makes the next key when it is time, and forgets those that nothing valid was signed with. */
  async #renew(): Promise<void> {
    const { coordination, clock, logger } = this.#options;
    const nowMs = clock.now();
    const newest = this.#keys.at(-1);
    if (newest !== undefined && nowMs - newest.createdAt < NEW_KEY_AFTER_MS) return;
    const kv = await coordination.get(KEYS);
    const kept = this.#keys.slice(-1);
    const keys = [...kept, makeKey(nowMs)];
    const { succeeded } = await coordination.txn(
      [kv === undefined ? { key: KEYS, absent: true } : { key: KEYS, modRevision: kv.modRevision }],
      [{ op: "put", key: KEYS, value: Buffer.from(JSON.stringify(keys)) }],
    );
    this.#keys = succeeded ? keys : await load(this.#options);
    if (succeeded) logger.info("made a new key for JWT-SVIDs", { kid: keys.at(-1)?.kid });
    this.#changed.emit();
  }
}

function makeKey(createdAt: number): StoredKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const privateKeyPem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const kid = createHash("sha256").update(spki).digest("base64url").slice(0, 16);
  return { kid, privateKeyPem, createdAt };
}

function publicKeys(keys: readonly StoredKey[]): readonly object[] {
  return keys.map(({ kid, privateKeyPem }) => ({
    ...createPublicKey(privateKeyPem).export({ format: "jwk" }),
    kid,
    alg: "ES256",
    use: "jwt-svid",
  }));
}

async function load({ coordination }: JwtAuthorityOptions): Promise<readonly StoredKey[]> {
  const kv = await coordination.get(KEYS);
  return kv === undefined ? [] : parse(kv.value);
}

function parse(value: Uint8Array): readonly StoredKey[] {
  try {
    return JSON.parse(Buffer.from(value).toString()) as StoredKey[];
  } catch (thrown) {
    throw new MeshError(
      "invalid",
      "CA_JWT_KEYS",
      "the stored keys of JWT-SVIDs cannot be read; restore the data directory from a copy",
      { cause: thrown },
    );
  }
}
