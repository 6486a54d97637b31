// @ts-check
// What the overview runs beside what every page runs.
import "./graph.js";
import "./live.js";
