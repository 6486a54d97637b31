// @ts-check
// A form that is looked at before it is sent: what was found stands in it, until something else is typed.
import { el, shape } from "./dom.js";
import { onEnhance } from "./enhance.js";
import { postForm } from "./fetching.js";
import "./forms.js";

const SHAPES = { good: "check", warns: "alert", bad: "cross" };

onEnhance("[data-check]", (element) => {
  const button = /** @type {HTMLButtonElement} */ (element);
  const form = /** @type {HTMLFormElement} */ (button.form);
  const place = /** @type {HTMLElement} */ (form.querySelector("[data-checks]"));
  form.addEventListener("input", () => place.replaceChildren());
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    button.disabled = true;
    place.replaceChildren(el("p", { class: "muted" }, "Looking …"));
    try {
      const told = await postForm(button.formAction, new FormData(form));
      const list = el("ul", { class: "checks" });
      for (const each of told.checks) list.append(checkOf(each));
      place.replaceChildren(list);
    } catch (error) {
      place.replaceChildren(el("p", { class: "box tone-bad", role: "alert" }, error instanceof Error ? error.message : "It cannot be checked."));
    } finally {
      button.disabled = false;
      place.scrollIntoView({ block: "nearest" });
    }
  });
});

/** @param {{name: string, verdict: "good" | "warns" | "bad", words: string, advice: string, mend: string}} check */
function checkOf(check) {
  const words = el("div", {}, el("strong", {}, check.name), " ", check.words);
  if (check.advice) words.append(" ", el("span", { class: "advice" }, check.advice));
  if (check.mend) {
    words.append(el("figure", { class: "snippet" },
      el("figcaption", {}, "This mends it",
        el("button", { type: "button", class: "copy", "data-copy": check.mend, "aria-label": "Copy the command" }, shape("copy"))),
      el("pre", { tabindex: "0" }, el("code", {}, check.mend))));
  }
  return el("li", { class: `tone-${check.verdict}` }, shape(SHAPES[check.verdict]), words);
}
