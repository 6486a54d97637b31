// @ts-check
// Keys that act on the page, for whoever keeps both hands there: none while something is being typed.
import { showDialog } from "./dialogs.js";
import { onEnhance } from "./enhance.js";

const SEQUENCE_MS = 1200;
let wentAtMs = -SEQUENCE_MS;

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, select, textarea"));
}

/** @param {1 | -1} step */
function move(step) {
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-row]")]);
  if (rows.length === 0) return;
  const now = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
  const next = rows[now < 0 ? 0 : Math.min(Math.max(now + step, 0), rows.length - 1)];
  for (const row of rows) row.removeAttribute("aria-selected");
  next.setAttribute("aria-selected", "true");
  next.scrollIntoView({ block: "nearest" });
  const link = next.querySelector("[data-open]");
  if (link instanceof HTMLElement) link.focus({ preventScroll: true });
}

function help() {
  const template = document.getElementById("keys-help");
  if (!(template instanceof HTMLTemplateElement) || document.querySelector("dialog[open]")) return;
  const content = document.importNode(template.content, true);
  content.querySelector("h2")?.remove();
  showDialog("Keyboard", content);
}

/** @type {Record<string, () => void>} */
const KEYS = {
  "/": () => /** @type {HTMLElement | null} */ (document.querySelector("[data-search]"))?.focus(),
  j: () => move(1),
  k: () => move(-1),
  n: () => /** @type {HTMLElement | null} */ (document.querySelector("[data-new]"))?.click(),
  g: () => { wentAtMs = performance.now(); },
  "?": help,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") /** @type {HTMLElement} */ (event.target).blur();
    return;
  }
  const goes = performance.now() - wentAtMs < SEQUENCE_MS;
  wentAtMs = -SEQUENCE_MS;
  const section = goes && /^[a-z]$/.test(event.key) ? document.querySelector(`[data-go="${event.key}"]`) : null;
  if (section instanceof HTMLAnchorElement) {
    event.preventDefault();
    section.click();
  } else if (Object.hasOwn(KEYS, event.key)) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

onEnhance("[data-keys]", (button) => button.addEventListener("click", help));
