/** No proxy: what load and origin do alone. The floor under every latency of the table. */
export const direct = {
  name: "no proxy",
  scenario: "direct",
  version: () => ({ version: "" }),
  start: async ({ originPort }) => ({
    url: `http://127.0.0.1:${originPort}/`,
    pids: [],
    stop: async () => {},
  }),
};
