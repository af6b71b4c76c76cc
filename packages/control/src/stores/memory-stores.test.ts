import { FakeClock } from "@tulle/testkit";

import { describeCoordination } from "./contract/coordination.contract.js";
import { describeResourceStore } from "./contract/resource-store.contract.js";
import { createMemoryStores } from "./open.js";

describeResourceStore("memory store", () => createMemoryStores({ clock: new FakeClock() }).resources);
describeCoordination("memory coordination", (clock) => createMemoryStores({ clock }).coordination);
