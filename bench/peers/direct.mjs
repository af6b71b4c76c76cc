/** No proxy: what load and origin do alone. The floor under every latency. */
export const direct = {
  name: "no proxy",
  version: () => ({ version: "" }),
  start: async (_context, app) => ({ port: app.port, pids: [], stop: async () => {} }),
};
