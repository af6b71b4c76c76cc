export { EndpointReports, type EndpointsQuestion } from "./endpoint-reports.js";
