import { create } from "@bufbuild/protobuf";
import { isPathTemplate, type AuthorizationOperation } from "@tulle/api";
import { PermissionSchema, type Permission } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import { UriTemplateMatchConfigSchema } from "@tulle/xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import type { StringMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";
import { packed } from "../messages.js";
import { PERMISSIONS, type Term } from "./algebra.js";
import { cidrRange } from "./cidr-range.js";
import { headerMatcher } from "./header-matcher.js";
import { patternOf, textMatcher } from "./value-match.js";

type PermissionTerm = Term<Permission>;
type Lists = Pick<PermissionTerm, "values" | "notValues">;

/** The fields of an operation; `port`: of the workload, where it is known. */
export function operationTerms(
  operation: AuthorizationOperation,
  port: number | undefined,
): readonly PermissionTerm[] {
  const { hosts, notHosts, ports, notPorts, methods, notMethods, paths, notPaths } = operation;
  return [
    { ...lists(hosts, notHosts), httpOnly: true, make: host },
    { ...lists(methods, notMethods), httpOnly: true, make: method },
    { ...lists(paths, notPaths), httpOnly: true, make: path },
    portTerm(lists(ports, notPorts), port),
  ];
}

export function lists(values: readonly string[] = [], notValues: readonly string[] = []): Lists {
  return { values, notValues };
}

export function portTerm(values: Lists, port: number | undefined): PermissionTerm {
  return {
    ...values,
    httpOnly: false,
    make: (value) =>
      port === undefined
        ? create(PermissionSchema, { rule: { case: "destinationPort", value: Number(value) } })
        : Number(value) === port,
  };
}

export function destinationTerm(values: Lists): PermissionTerm {
  return {
    ...values,
    httpOnly: false,
    make: (value) => create(PermissionSchema, { rule: { case: "destinationIp", value: cidrRange(value) } }),
  };
}

export function serverNameTerm(values: Lists): PermissionTerm {
  return {
    ...values,
    httpOnly: false,
    make: (value) => {
      const pattern = patternOf(value);
      return pattern.kind === "present"
        ? PERMISSIONS.not(serverName(textMatcher("exact", "")))
        : serverName(textMatcher(pattern.kind, pattern.text));
    },
  };
}

function serverName(matcher: StringMatcher): Permission {
  return create(PermissionSchema, { rule: { case: "requestedServerName", value: matcher } });
}

function header(name: string, value: string, ignoreCase = false): Permission {
  return create(PermissionSchema, {
    rule: { case: "header", value: headerMatcher(name, value, ignoreCase) },
  });
}

function method(value: string): Permission {
  return header(":method", value);
}

/** Callers may write a port after any host: what refuses a host refuses it at every port. */
function host(value: string, widely: boolean): Permission {
  const exact = header(":authority", value, true);
  const pattern = patternOf(value);
  if (!widely || hasPort(value) || pattern.kind === "present" || pattern.kind === "prefix") return exact;
  const withPort =
    pattern.kind === "exact"
      ? textMatcher("prefix", `${pattern.text}:`, true)
      : textMatcher("contains", `${pattern.text}:`, true);
  const headerMatch = {
    name: ":authority",
    headerMatchSpecifier: { case: "stringMatch" as const, value: withPort },
  };
  return PERMISSIONS.any([exact, create(PermissionSchema, { rule: { case: "header", value: headerMatch } })]);
}

function hasPort(value: string): boolean {
  return /:\d*\*?$/.test(value.slice(value.lastIndexOf("]") + 1));
}

function path(value: string): Permission | boolean {
  if (isPathTemplate(value)) {
    const pathTemplate = value.replaceAll("{**}", "**").replaceAll("{*}", "*");
    return create(PermissionSchema, {
      rule: {
        case: "uriTemplate",
        value: {
          name: "uri-template",
          typedConfig: packed(UriTemplateMatchConfigSchema, { pathTemplate }),
        },
      },
    });
  }
  const pattern = patternOf(value);
  // Every request has a path.
  if (pattern.kind === "present") return true;
  const matcher = textMatcher(pattern.kind, pattern.text);
  return create(PermissionSchema, {
    rule: { case: "urlPath", value: { rule: { case: "path", value: matcher } } },
  });
}
