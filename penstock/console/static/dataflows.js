// @ts-check
// The form of a new dataflow: browsing directories and prefixes.
import { el, pathParts, shape } from "./dom.js";
import { onEnhance } from "./enhance.js";
import { getJson } from "./fetching.js";
import "./checks.js";
import "./forms.js";

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 */
function valueOf(form, name) {
  return String(new FormData(form).get(name) ?? "");
}

/**
 * @param {HTMLFormElement} form
 * @param {string} kind directories or prefixes
 * @param {string} path
 */
function address(form, kind, path) {
  const query = kind === "directories"
    ? { file_system_id: valueOf(form, "file_system_id"), path }
    : { bucket: valueOf(form, "bucket"), prefix: path };
  return `/dataflows/browse/${kind}?${new URLSearchParams(query)}`;
}

onEnhance("[data-browse]", (button) => {
  const form = /** @type {HTMLFormElement} */ (button.closest("form"));
  const field = /** @type {HTMLInputElement} */ (form.querySelector(`#${button.dataset.into}`));
  const place = /** @type {HTMLElement} */ (form.querySelector(`[data-browser-of="${button.dataset.into}"]`));
  const kind = button.dataset.browse ?? "";
  button.hidden = false;
  button.addEventListener("click", () => {
    const opens = place.hidden;
    place.hidden = !opens;
    button.setAttribute("aria-expanded", String(opens));
    if (opens) visit(field.value || "/");
  });

  /** @param {string} path */
  async function visit(path) {
    place.setAttribute("aria-busy", "true");
    try {
      show(await getJson(address(form, kind, path)));
    } catch (error) {
      place.replaceChildren(el("p", { class: "note", role: "alert" }, error instanceof Error ? error.message : "It cannot be listed."));
    } finally {
      place.removeAttribute("aria-busy");
    }
  }

  /** @param {{path: string, names: string[], is_cut: boolean, trouble: string, mend?: string, objects?: number}} found */
  function show(found) {
    field.value = found.path;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    const above = found.path.replace(/[^/]+\/$/, "");
    const head = el("div", { class: "browser-head" },
      el("button", { type: "button", class: "button small", disabled: found.path === "/", onclick: () => visit(above) }, shape("up"), "Up"),
      el("span", { class: "path" }, pathParts(found.path)),
      el("button", { type: "button", class: "button small primary", onclick: () => button.click() }, "Take this"));
    const list = el("ul", {});
    for (const name of found.names) {
      list.append(el("li", {}, el("button", { type: "button", onclick: () => visit(`${found.path}${name}/`) }, shape("folder"), el("bdi", {}, name))));
    }
    place.replaceChildren(head);
    if (found.names.length > 0) place.append(list);
    const words = note(found);
    if (words) place.append(el("p", { class: "note" }, words, ...(found.mend ? [" ", el("code", {}, found.mend)] : [])));
    const first = list.querySelector("button") ?? head.querySelector("button:not(:disabled)");
    if (first instanceof HTMLElement) first.focus();
  }
});

/** @param {{names: string[], is_cut: boolean, trouble: string, objects?: number}} found */
function note(found) {
  if (found.trouble) return found.trouble;
  const parts = [];
  if (found.names.length === 0) parts.push(found.objects === undefined ? "No directory in here." : "No prefix below this one.");
  if (found.objects) parts.push(`${found.is_cut ? "At least " : ""}${found.objects} object${found.objects === 1 ? "" : "s"} right here.`);
  if (found.is_cut) parts.push("There is more than fits here: type the rest of the path.");
  return parts.join(" ");
}
