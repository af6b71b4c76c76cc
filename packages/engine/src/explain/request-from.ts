import { MeshError } from "@tulle/base";
import { parseAuthority } from "@tulle/http";
import type { EngineRequest } from "../contract.js";

/** A request as somebody writes it down. */
export interface WrittenRequest {
  readonly method: string;
  /** `http://reviews/api?x=1`; the scheme may be left out. */
  readonly url: string;
  /** `name: value` */
  readonly headers?: readonly string[] | undefined;
}

const MAX_URL = 16_384;
const MAX_HEADERS = 256;
const MAX_HEADER = 16_384;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * The request as a proxy sees it, canonical. A `host` among the headers names the authority in place of the URL's, as
 * curl has it. Throws MeshError `invalid` with what is wrong.
 */
export function requestFrom({ method, url, headers = [] }: WrittenRequest): EngineRequest {
  if (!TOKEN.test(method)) throw wrong(`${JSON.stringify(method)} is not a method: write GET, POST, …`);
  if (url.length > MAX_URL) throw wrong(`the URL has over ${MAX_URL} characters`);
  const match = /^(?:(https?):\/\/)?([^/?#]*)([^#]*)/i.exec(url);
  const [, scheme = "http", written = "", target = ""] = match ?? [];
  if (/[^\x21-\x7e]/.test(target))
    throw wrong("the URL's path holds spaces, control characters or letters beyond ASCII: escape them");
  if (headers.length > MAX_HEADERS) throw wrong(`there are over ${MAX_HEADERS} headers`);
  const list: string[] = [];
  let host = written;
  for (const line of headers) {
    const [name, value] = headerFrom(line);
    if (name === "host") host = value;
    else list.push(name, value);
  }
  const authority = parseAuthority(host);
  if (authority === undefined)
    throw wrong(`${JSON.stringify(host)} is not a host: write a URL such as http://reviews:9080/api`);
  return {
    method: method.toUpperCase(),
    path: target.startsWith("/") ? target : `/${target}`,
    authority: authority.port === undefined ? authority.host : `${authority.host}:${authority.port}`,
    scheme: scheme.toLowerCase() === "https" ? "https" : "http",
    headers: list,
  };
}

function headerFrom(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  const name = line.slice(0, colon).toLowerCase();
  const value = line.slice(colon + 1).trim();
  // eslint-disable-next-line no-control-regex -- exactly these cannot be in a field
  if (colon <= 0 || !TOKEN.test(name) || /[\0\r\n]/.test(value) || line.length > MAX_HEADER)
    throw wrong(`${JSON.stringify(line.slice(0, 200))} is not a header: write "name: value"`);
  return [name, value];
}

function wrong(message: string): MeshError {
  return new MeshError("invalid", "ENGINE_BAD_QUESTION", message);
}
