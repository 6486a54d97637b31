// @ts-check
// Forms with `data-form` are sent without leaving the page: what is refused is said in them, and nothing typed is lost.
import { el, shape } from "./dom.js";
import { onEnhance } from "./enhance.js";
import { postForm, Refusal } from "./fetching.js";

onEnhance("form[data-form]", (element) => {
  const form = /** @type {HTMLFormElement} */ (element);
  form.addEventListener("submit", async (event) => {
    const button = /** @type {HTMLButtonElement | null} */ (/** @type {SubmitEvent} */ (event).submitter);
    if (event.defaultPrevented) return;
    event.preventDefault();
    if (button) button.disabled = true;
    say(form, null);
    try {
      const told = await postForm(form.getAttribute("action") ?? "", new FormData(form)); // a field may be called "action"
      location.assign(told.location);
    } catch (error) {
      say(form, error instanceof Refusal ? error : new Refusal({ code: "", message: "The service does not answer. Is it running?" }));
      if (button) button.disabled = false;
    }
  });
});

/**
 * @param {HTMLFormElement} form
 * @param {Refusal | null} refusal
 */
function say(form, refusal) {
  const place = form.querySelector("[data-form-error]");
  place?.replaceChildren();
  if (!place || refusal === null) return;
  const box = el("section", { class: "box tone-bad", role: "alert" }, el("h2", {}, shape("alert"), "The service refuses"), el("p", {}, refusal.message));
  if (refusal.advice) box.append(el("p", { class: "advice" }, refusal.advice));
  if (refusal.code) box.append(el("p", { class: "small" }, el("code", {}, refusal.code), refusal.requestId ? ` · request ${refusal.requestId}` : ""));
  place.append(box);
  box.scrollIntoView({ block: "nearest" });
}
