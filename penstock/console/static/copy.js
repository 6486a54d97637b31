// @ts-check
// Buttons that put a text into the clipboard.
import { toast } from "./toasts.js";

const DONE_MS = 1500;

document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
  if (!(button instanceof HTMLElement)) return;
  event.preventDefault();
  const text = button.dataset.copy ?? "";
  if (await put(text)) {
    button.classList.add("done");
    toast("Copied.");
    setTimeout(() => button.classList.remove("done"), DONE_MS);
  } else {
    toast("This browser does not let the page copy; select the text instead.", "bad");
  }
});

/**
 * Browsers keep the clipboard from pages that come over plain HTTP from another machine; they take a selection there.
 * @param {string} text
 */
async function put(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // as if there were none
    }
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.setAttribute("readonly", "");
  field.className = "visually-hidden";
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}
