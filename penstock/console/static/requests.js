// @ts-check
// The live tail of the request log: new calls appear on top, until the reader pauses it.
import { enhance } from "./enhance.js";
import { formatTime, renderTimes } from "./times.js";

const AGAIN_MS = 1500;
const AGAIN_MAX_MS = 15000;
const ROWS_MAX = 200;

const table = /** @type {HTMLElement | null} */ (document.querySelector("[data-tail-table]"));
const pause = /** @type {HTMLElement | null} */ (document.querySelector("[data-tail-switch]"));
let runs = true;
let waitMs = AGAIN_MS;
let asOfMs = Date.now();

async function look() {
  const body = table?.querySelector("tbody[data-tail]");
  if (!table || !(body instanceof HTMLElement)) return;
  if (runs && !document.hidden) {
    try {
      await take(table, body);
      lost(false);
      asOfMs = Date.now();
      waitMs = AGAIN_MS;
    } catch {
      lost(true);
      waitMs = Math.min(waitMs * 2, AGAIN_MAX_MS);
    }
  }
  setTimeout(look, waitMs);
}

/**
 * @param {HTMLElement} list
 * @param {HTMLElement} body
 */
async function take(list, body) {
  const query = new URLSearchParams(location.search);
  query.set("after", body.dataset.tail ?? "0");
  const answer = await fetch(`/requests/newer?${query}`, { headers: { Accept: "text/html" } });
  if (answer.redirected) location.reload();
  if (!answer.ok) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(`<table>${await answer.text()}</table>`, "text/html");
  const fresh = page.querySelector("tbody[data-tail]");
  if (!(fresh instanceof HTMLElement)) return;
  body.dataset.tail = fresh.dataset.tail;
  const rows = [...fresh.rows].map((row) => /** @type {HTMLElement} */ (document.importNode(row, true)));
  if (rows.length === 0) return;
  for (const row of rows) row.classList.add("fresh");
  body.prepend(...rows);
  while (body.children.length > ROWS_MAX) body.lastElementChild?.remove();
  list.hidden = false;
  document.querySelector("[data-tail-empty]")?.setAttribute("hidden", "");
  const said = document.querySelector("[data-tail-said]");
  if (said) said.textContent = `${rows.length} new call${rows.length === 1 ? "" : "s"}`;
  enhance(body);
  renderTimes(body);
}

/** @param {boolean} isLost */
function lost(isLost) {
  const place = document.getElementById("connection");
  if (!place || place.hidden === !isLost) return;
  place.hidden = !isLost;
  if (isLost) place.textContent = `Connection lost; data as of ${formatTime(asOfMs)}. Trying again…`;
}

if (pause) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    runs = !runs;
    pause.setAttribute("aria-pressed", String(runs));
    const words = pause.querySelector("span");
    if (words) words.textContent = runs ? "Pause" : "Go on";
    pause.querySelector("use")?.setAttribute("href", runs ? "#s-pause" : "#s-play");
  });
}
look();
