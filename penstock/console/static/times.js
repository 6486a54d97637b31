// @ts-check
// Times in the zone of the visitor, in UTC, or by how long ago they are: one switch for all of the page.
import { formatDuration } from "./amounts.js";
import { onEnhance } from "./enhance.js";
import { remember } from "./remembered.js";

const TICK_MS = 5000;

/** @returns {string} local, utc or relative */
function chosen() {
  return document.documentElement.dataset.times ?? "local";
}

/** @param {number} number */
const two = (number) => String(number).padStart(2, "0");

/** @param {number} atMs */
function local(atMs) {
  const at = new Date(atMs);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** @param {number} atMs */
function utc(atMs) {
  return `${new Date(atMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** @param {number} atMs */
function relative(atMs) {
  const ago = (Date.now() - atMs) / 1000;
  if (Math.abs(ago) < 2) return "just now";
  const words = formatDuration(Math.floor(Math.abs(ago))).replace(/\.0 s$/, " s");
  return ago > 0 ? `${words} ago` : `in ${words}`;
}

/**
 * As the visitor has chosen to read it.
 * @param {number} atMs
 */
export function formatTime(atMs) {
  return { utc, relative }[chosen()]?.(atMs) ?? local(atMs);
}

/**
 * Writes every `<time data-time>` beneath `root` anew.
 * @param {ParentNode} [root]
 */
export function renderTimes(root = document) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("time[data-time]"))) {
    const atMs = Number(element.dataset.time);
    const text = formatTime(atMs);
    if (element.textContent !== text) element.textContent = text;
    element.title = `${local(atMs)} local · ${utc(atMs)}`;
  }
}

onEnhance("time[data-time]", () => {});
onEnhance("[data-times-switch]", (element) => {
  const choice = /** @type {HTMLSelectElement} */ (element);
  choice.addEventListener("change", () => {
    document.documentElement.dataset.times = choice.value;
    remember("penstock_times", choice.value);
    renderTimes();
  });
});
renderTimes();
setInterval(() => {
  if (chosen() === "relative" && !document.hidden) renderTimes();
}, TICK_MS);
