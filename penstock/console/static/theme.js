// @ts-check
// Light, dark, or as the system has it.
import { onEnhance } from "./enhance.js";
import { remember } from "./remembered.js";

onEnhance("[data-theme-switch]", (element) => {
  const choice = /** @type {HTMLSelectElement} */ (element);
  choice.addEventListener("change", () => {
    document.documentElement.dataset.theme = choice.value;
    remember("penstock_theme", choice.value);
    document.dispatchEvent(new CustomEvent("penstock:theme"));
  });
});
