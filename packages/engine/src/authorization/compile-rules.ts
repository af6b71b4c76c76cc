import type { Permission, Principal } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import { withoutPort } from "../route/virtual-hosts.js";
import { at, invalid } from "../snapshot/invalid.js";
import {
  compileAddress,
  compileAuthenticated,
  compilePort,
  compileServerName,
  type AddressOf,
} from "./compile-connection.js";
import { compileHeader } from "./compile-header.js";
import { compileUriTemplate, compileUrlPath } from "./compile-path.js";
import { compileMetadata } from "./compile-value.js";
import { All, Any, Not, type Condition } from "./condition.js";

/** Conditions within each other that are still compiled. */
const MAX_DEPTH = 32;

const sourceOf: AddressOf = ({ connection }) => connection?.sourceAddress;
const destinationOf: AddressOf = ({ connection }) => connection?.destinationAddress;
const clientOf: AddressOf = ({ remoteAddress }) =>
  remoteAddress === undefined ? undefined : unbracketed(withoutPort(remoteAddress));

function unbracketed(host: string): string {
  return host.startsWith("[") ? host.slice(1, -1) : host;
}

/**
 * Compiles what may be done. `inDoubt` says what counts where something cannot be told: true in rules that refuse, false in
 * those that allow, and the reverse of that below a negation. So doubt never opens anything.
 */
export function compilePermission(
  field: string,
  { rule }: Permission,
  inDoubt: boolean,
  depth = 0,
): Condition {
  if (depth > MAX_DEPTH) throw invalid(field, `is nested more than ${MAX_DEPTH} deep`);
  const next = (one: Permission, path: string): Condition =>
    compilePermission(at(field, path), one, inDoubt, depth + 1);
  switch (rule.case) {
    case "andRules":
    case "orRules": {
      const name = rule.case === "andRules" ? "and_rules" : "or_rules";
      const parts = rule.value.rules.map((one, index) => next(one, `${name}.rules[${index}]`));
      return combined(at(field, name), rule.case === "andRules", parts);
    }
    case "any":
      return anything(field, rule.value);
    case "header":
      return compileHeader(at(field, "header"), rule.value, inDoubt);
    case "urlPath":
      return compileUrlPath(at(field, "url_path"), rule.value, inDoubt);
    case "uriTemplate":
      return compileUriTemplate(at(field, "uri_template"), rule.value, inDoubt);
    case "destinationIp":
      return compileAddress(
        at(field, "destination_ip"),
        rule.value,
        "the destination's address",
        true,
        destinationOf,
        inDoubt,
      );
    case "destinationPort":
      return compilePort(rule.value, rule.value + 1, inDoubt);
    case "destinationPortRange":
      return compilePort(rule.value.start, rule.value.end, inDoubt);
    case "metadata":
      return compileMetadata(at(field, "metadata"), rule.value);
    case "requestedServerName":
      return compileServerName(at(field, "requested_server_name"), rule.value);
    case "notRule":
      return negated(compilePermission(at(field, "not_rule"), rule.value, !inDoubt, depth + 1));
    case "matcher":
      throw invalid(at(field, "matcher"), "is not supported");
    case undefined:
      throw invalid(field, "must say what may be done: no rule in it is known here");
  }
}

/** Compiles who may do it; `inDoubt` as in {@link compilePermission}. */
export function compilePrincipal(
  field: string,
  { identifier }: Principal,
  inDoubt: boolean,
  depth = 0,
): Condition {
  if (depth > MAX_DEPTH) throw invalid(field, `is nested more than ${MAX_DEPTH} deep`);
  switch (identifier.case) {
    case "andIds":
    case "orIds": {
      const name = identifier.case === "andIds" ? "and_ids" : "or_ids";
      const parts = identifier.value.ids.map((one, index) =>
        compilePrincipal(at(field, `${name}.ids[${index}]`), one, inDoubt, depth + 1),
      );
      return combined(at(field, name), identifier.case === "andIds", parts);
    }
    case "any":
      return anything(field, identifier.value);
    case "authenticated":
      return compileAuthenticated(at(field, "authenticated"), identifier.value.principalName);
    case "directRemoteIp":
      return compileAddress(
        at(field, "direct_remote_ip"),
        identifier.value,
        "the connection's source",
        true,
        sourceOf,
        inDoubt,
      );
    case "remoteIp":
    case "sourceIp": {
      const name = identifier.case === "remoteIp" ? "remote_ip" : "source_ip";
      return compileAddress(
        at(field, name),
        identifier.value,
        "the client's address",
        false,
        clientOf,
        inDoubt,
      );
    }
    case "header":
      return compileHeader(at(field, "header"), identifier.value, inDoubt);
    case "urlPath":
      return compileUrlPath(at(field, "url_path"), identifier.value, inDoubt);
    case "metadata":
      return compileMetadata(at(field, "metadata"), identifier.value);
    case "notId":
      return negated(compilePrincipal(at(field, "not_id"), identifier.value, !inDoubt, depth + 1));
    case "filterState":
      throw invalid(at(field, "filter_state"), "is not supported");
    case undefined:
      throw invalid(field, "must say who is meant: no identifier in it is known here");
  }
}

function combined(field: string, every: boolean, parts: readonly Condition[]): Condition {
  if (parts.length === 0) throw invalid(field, "must not be empty");
  if (parts.length === 1) return parts[0]!;
  return every ? new All(parts) : new Any(parts);
}

/** As in Envoy, `any` is set to true or not at all. */
function anything(field: string, value: boolean): Condition {
  if (!value) throw invalid(at(field, "any"), "must be true");
  return true;
}

function negated(condition: Condition): Condition {
  return typeof condition === "boolean" ? !condition : new Not(condition);
}
