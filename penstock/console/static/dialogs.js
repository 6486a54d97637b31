// @ts-check
// A link with `data-dialog` opens what it leads to in a dialog; without script it is a page of its own.
import { el, shape } from "./dom.js";
import { enhance } from "./enhance.js";
import { renderTimes } from "./times.js";

/**
 * Shows a dialog, and takes it away once it is closed.
 * @param {string} title
 * @param {Node} content
 * @returns {HTMLDialogElement}
 */
export function showDialog(title, content) {
  const dialog = /** @type {HTMLDialogElement} */ (el("dialog", { "aria-labelledby": "dialog-title" }));
  dialog.append(
    el("div", { class: "dialog-head" },
      el("h2", { id: "dialog-title" }, title),
      el("button", { type: "button", class: "dialog-close", "aria-label": "Close", onclick: () => dialog.close() }, shape("cross"))),
    el("div", { class: "dialog-body" }, content),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  document.body.append(dialog);
  enhance(dialog);
  renderTimes(dialog);
  dialog.showModal();
  const first = dialog.querySelector("[autofocus], .dialog-body input:not([type=hidden]), .dialog-body select, .dialog-body button");
  if (first instanceof HTMLElement) first.focus();
  return dialog;
}

/**
 * @param {string} url
 */
export async function openDialog(url) {
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const body = page.querySelector("[data-dialog-body]");
  if (answer.redirected || !(body instanceof HTMLElement)) {
    location.assign(url);
    return;
  }
  const title = body.dataset.title ?? page.querySelector("h1")?.textContent?.trim() ?? "";
  for (const wanted of page.querySelectorAll("link[rel=stylesheet]")) {
    if (!document.querySelector(`link[href="${wanted.getAttribute("href")}"]`)) document.head.append(document.importNode(wanted));
  }
  for (const script of page.querySelectorAll("script[type=module][src]")) {
    await import(/** @type {string} */ (script.getAttribute("src")));
  }
  showDialog(title, document.importNode(body, true));
}

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element) || !(event instanceof MouseEvent)) return;
  const link = event.target.closest("a[data-dialog]");
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  openDialog(link.href).catch(() => location.assign(link.href));
});
