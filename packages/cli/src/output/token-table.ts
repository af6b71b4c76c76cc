import { ALL_NAMESPACES, type AccessTokenInfo } from "@tulle/api";

import { renderTable } from "./table.js";

/** `tulle token list`. `now`: milliseconds since the epoch. */
export function tokenTable(tokens: readonly AccessTokenInfo[], now: number): string {
  if (tokens.length === 0) return "There are no access tokens.\n";
  const table = renderTable<AccessTokenInfo>(
    [
      { header: "NAME", cell: ({ name }) => name },
      { header: "ROLE", cell: ({ role }) => role },
      {
        header: "NAMESPACES",
        cell: ({ namespaces }) => (namespaces === ALL_NAMESPACES ? "all" : namespaces.join(",")),
      },
      { header: "ACCOUNT", cell: ({ serviceAccount }) => serviceAccount ?? "-" },
      { header: "CREATED BY", cell: ({ createdBy }) => createdBy },
      {
        header: "EXPIRES",
        cell: ({ expiresAt }) => (expiresAt === undefined ? "never" : leftText(expiresAt - now)),
      },
    ],
    tokens,
  );
  return `${table}\n`;
}

function leftText(ms: number): string {
  const hours = Math.max(0, Math.floor(ms / 3_600_000));
  return hours < 48 ? `in ${hours}h` : `in ${Math.floor(hours / 24)}d`;
}
