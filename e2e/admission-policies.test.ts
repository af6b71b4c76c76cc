import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Mesh } from "./support/mesh.js";
import { tulle } from "./support/tulle-process.js";

// Users' own rules about what may be written, as they know them from Kubernetes.

const hasKubectl = spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status === 0;
const run = promisify(execFile);

let mesh: Mesh;
let count = 0;

beforeAll(async () => {
  mesh = await Mesh.start();
}, 60_000);

afterAll(() => mesh.end());

interface Outcome {
  readonly code: number;
  readonly output: string;
}

async function kubectl(...args: string[]): Promise<Outcome> {
  const own = ["--server", mesh.server, "--cache-dir", join(mesh.directory, "kube-cache")];
  try {
    const { stdout, stderr } = await run("kubectl", [...own, ...args], { env: mesh.environment });
    return { code: 0, output: stdout + stderr };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}

function command(...args: string[]): Promise<Outcome> {
  return tulle({
    args,
    environment: { ...mesh.environment, TULLE_SERVER: mesh.server },
    logFile: join(mesh.directory, `command-${count++}.log`),
  });
}

function file(yaml: string): string {
  const path = join(mesh.directory, `objects-${count++}.yaml`);
  writeFileSync(path, yaml);
  return path;
}

const policy = (name: string, actions: string): string => `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: ${name}.example.com}
spec:
  failurePolicy: Fail
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules:
      - apiGroups: [networking.istio.io]
        apiVersions: [v1]
        operations: [CREATE, UPDATE]
        resources: [virtualservices]
    objectSelector: {matchLabels: {rule: ${name}}}
  matchConditions:
    - {name: not-exempt, expression: "!('exempt' in object.metadata.labels)"}
  variables:
    - {name: timeouts, expression: "object.spec.http.map(r, has(r.timeout) ? duration(r.timeout) : duration('0s'))"}
  validations:
    - expression: variables.timeouts.all(t, t > duration('0s'))
      message: every rule needs a timeout
      reason: Forbidden
    - expression: variables.timeouts.all(t, t <= duration(params.data.longest))
      messageExpression: "'no timeout may be longer than ' + params.data.longest + ', ' + request.userInfo.username"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: ${name}-binding}
spec:
  policyName: ${name}.example.com
  paramRef: {name: timeouts, namespace: default, parameterNotFoundAction: Deny}
  validationActions: [${actions}]
`;

const route = (
  name: string,
  rule: string,
  timeout: string,
  more = "",
): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, labels: {rule: ${rule}${more}}}
spec: {hosts: [${name}], http: [{${timeout}route: [{destination: {host: ${name}}}]}]}
`;
const LIMIT = `apiVersion: v1
kind: ConfigMap
metadata: {name: timeouts}
data: {longest: 10s}
`;

test.skipIf(!hasKubectl)("kubectl applies policies, and is refused and warned by them", async () => {
  const applied = await kubectl(
    "apply",
    "-f",
    file([LIMIT, policy("deny", "Deny"), policy("warn", "Warn, Audit")].join("---\n")),
  );
  expect(applied).toMatchObject({ code: 0, output: expect.stringContaining("deny.example.com created") });
  const listed = await kubectl("get", "validatingadmissionpolicies");
  expect(listed.output).toMatch(
    /NAME\s+VALIDATIONS\s+PARAMKIND\s+AGE\ndeny\.example\.com\s+2\s+v1\/ConfigMap\s/,
  );

  await eventually(async () => {
    const refused = await kubectl("apply", "-f", file(route("a", "deny", "")));
    expect(refused.output).toContain(
      "is forbidden: ValidatingAdmissionPolicy 'deny.example.com' with binding 'deny-binding' denied request: every rule needs a timeout",
    );
    expect(refused.output).toContain("(Forbidden)");
    expect(refused.code).toBe(1);
    return true;
  });
  const long = await kubectl("create", "-f", file(route("a", "deny", "timeout: 1m, ")));
  expect(long.output).toContain("denied request: no timeout may be longer than 10s, local");
  expect(long.code).toBe(1);
  expect((await kubectl("apply", "-f", file(route("a", "deny", "timeout: 5s, ")))).code).toBe(0);
  const patched = await kubectl(
    "patch",
    "virtualservice",
    "a",
    "--type=json",
    "-p",
    '[{"op": "replace", "path": "/spec/http/0/timeout", "value": "1m"}]',
  );
  expect(patched.output).toContain("no timeout may be longer than 10s");
  const dry = await kubectl("apply", "--dry-run=server", "-f", file(route("b", "deny", "")));
  expect(dry.output).toContain("every rule needs a timeout");
  expect((await kubectl("apply", "-f", file(route("exempt", "deny", "", ", exempt: yes-it-is")))).code).toBe(
    0,
  );

  const warned = await kubectl("apply", "-f", file(route("w", "warn", "timeout: 1m, ")));
  expect(warned.output).toContain(
    "Warning: Validation failed for ValidatingAdmissionPolicy 'warn.example.com' with binding 'warn-binding': no timeout may be longer than 10s, local",
  );
  expect(warned.output).toContain("virtualservice.networking.istio.io/w created");
});

test.skipIf(!hasKubectl)("kubectl is told what is wrong with a policy itself", async () => {
  const bad = policy("bad", "Deny").replace(
    "variables.timeouts.all(t, t > duration('0s'))",
    "objekt.spec == 1",
  );
  const refused = await kubectl("apply", "-f", file(bad));
  expect(refused.output).toContain(
    'The ValidatingAdmissionPolicy "bad.example.com" is invalid: spec.validations[0].expression: is no CEL that can be evaluated here: undeclared reference to objekt',
  );
});

test("tulle apply is refused as kubectl is, and analyze finds the same in files alone", async () => {
  const rules = [LIMIT, policy("own", "Deny")].join("---\n");
  expect((await command("apply", "-f", file(rules))).code).toBe(0);
  await eventually(async () => {
    const { code, output } = await command("apply", "-f", file(route("t", "own", "")));
    expect(output).toContain("denied request: every rule needs a timeout");
    return code === 1;
  });
  const folder = join(mesh.directory, "policies");
  mkdirSync(folder);
  writeFileSync(join(folder, "rules.yaml"), rules);
  writeFileSync(join(folder, "routes.yaml"), route("t", "own", ""));
  const { code, output } = await command("analyze", folder);
  expect(output).toMatch(
    /Error \[TUL0008\] \(VirtualService default\/t .*routes\.yaml:1:1\).*every rule needs a timeout/,
  );
  expect(code).toBe(1);
});

test.skipIf(!hasKubectl)("kubectl asks the webhook, which stores nothing", async () => {
  const question = (object: object): string =>
    file(
      JSON.stringify({
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        request: {
          uid: "one",
          operation: "CREATE",
          namespace: "default",
          kind: { group: "networking.istio.io", version: "v1", kind: "DestinationRule" },
          object: { metadata: { name: "asked", namespace: "default" }, ...object },
          userInfo: { username: "mary" },
        },
      }),
    );
  const bad = await kubectl("create", "--raw", "/validate", "-f", question({ spec: { hots: "x" } }));
  expect(JSON.parse(bad.output).response).toMatchObject({
    uid: "one",
    allowed: false,
    status: { code: 422, message: expect.stringContaining("spec.hots: is not a known field") },
  });
  const good = await kubectl("create", "--raw", "/validate", "-f", question({ spec: { host: "nowhere" } }));
  expect(JSON.parse(good.output).response).toMatchObject({
    allowed: true,
    warnings: [expect.stringContaining("IST0174")],
  });
  expect((await kubectl("get", "destinationrule", "asked")).output).toContain("not found");
});

test("tulle crds prints a definition of each own kind", async () => {
  const { code, output } = await command("crds");
  expect(code).toBe(0);
  for (const plural of ["ratelimits", "healthchecks", "trafficpolicies", "meshconfigs"])
    expect(output).toContain(`name: ${plural}.tulle.dev`);
  expect(output).toMatch(/openAPIV3Schema:\n\s+type: object/);
});
