import type { Kind } from "@tulle/api";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/**
 * Content type of the document. kubectl's Accept carries an `@`, which is not valid in a Content-Type, so it is not
 * echoed.
 */
export const OPENAPI_CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/**
 * The OpenAPI v2 document for kubectl, as protobuf (gnostic's `openapi.v2.Document`; its field numbers are below).
 *
 * It holds one path per kind and version that says: PATCH of this kind takes `dryRun` and `fieldValidation`. With
 * that, `kubectl diff`, `--dry-run=server` and server-side validation work. It publishes no definitions, so kubectl
 * leaves validation to the server, which reports every violation and not only the first.
 */
export function openApiDocument(kinds: readonly Kind[]): Uint8Array {
  const document = new BinaryWriter();
  text(document, 1, "2.0");
  message(document, 8, (paths) => {
    for (const kind of kinds)
      for (const version of kind.versions) message(paths, 2, (item) => path(item, kind, version));
  });
  return document.finish();
}

function path(item: BinaryWriter, kind: Kind, version: string): void {
  const root = kind.group === "" ? `/api/${version}` : `/apis/${kind.group}/${version}`;
  const namespace = kind.scope === "Namespaced" ? "/namespaces/{namespace}" : "";
  text(item, 1, `${root}${namespace}/${kind.plural}/{name}`);
  message(item, 2, (pathItem) =>
    message(pathItem, 8, (patch) => {
      for (const name of ["dryRun", "fieldManager", "fieldValidation", "force"]) queryParameter(patch, name);
      message(patch, 13, (extension) => {
        text(extension, 1, "x-kubernetes-group-version-kind");
        const yaml = `group: "${kind.group}"\nkind: "${kind.kind}"\nversion: "${version}"\n`;
        message(extension, 2, (any) => text(any, 2, yaml));
      });
    }),
  );
}

function queryParameter(operation: BinaryWriter, name: string): void {
  message(operation, 8, (item) =>
    message(item, 1, (parameter) =>
      message(parameter, 2, (nonBody) =>
        message(nonBody, 3, (query) => {
          text(query, 2, "query");
          text(query, 4, name);
          text(query, 6, "string");
        }),
      ),
    ),
  );
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function message(writer: BinaryWriter, field: number, write: (writer: BinaryWriter) => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}
