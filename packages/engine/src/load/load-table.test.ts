import { createLoadTable } from "./load-table.js";
import { loadTableContract } from "./contract/load-table.contract.js";

loadTableContract("load table", createLoadTable);
