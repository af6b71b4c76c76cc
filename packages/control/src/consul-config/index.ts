export { createConfigEntryApi, type ConfigEntryApiOptions } from "./config-entry-api.js";
export { EntryRevisions } from "./entry-revisions.js";
