// @ts-check
// Short words about what has just happened, for eyes and screen readers, gone after a while.

const STAY_MS = 6000;
const NOTE = "note";

/**
 * @param {string} text
 * @param {"good" | "bad"} [kind]
 */
export function toast(text, kind = "good") {
  const place = document.getElementById("toasts");
  if (!place) return;
  const made = document.createElement("p");
  made.className = kind === "bad" ? "toast bad" : "toast";
  made.textContent = text;
  place.append(made);
  leave(made, kind === "bad" ? 2 * STAY_MS : STAY_MS);
}

/**
 * @param {Element} made
 * @param {number} stayMs
 */
function leave(made, stayMs) {
  setTimeout(() => made.remove(), stayMs);
}

for (const note of document.querySelectorAll("[data-note]")) {
  leave(note, STAY_MS);
  const here = new URL(location.href); // reloading the page must not say it once more
  here.searchParams.delete(NOTE);
  history.replaceState(history.state, "", here);
}
