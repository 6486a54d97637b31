// @ts-check
// The list of files: what is selected, how many new ones there are, filters that apply as they are chosen.
import { formatWhole } from "./amounts.js";
import { onEnhance } from "./enhance.js";
import { onLive } from "./live.js";

onLive("newer", (told) => {
  const button = document.querySelector("[data-newer]");
  if (!(button instanceof HTMLElement)) return;
  button.hidden = !told.count && !told.more;
  const words = button.querySelector("span");
  const text = told.more ? `${formatWhole(told.count)} or more newer` : `${formatWhole(told.count)} newer`;
  if (words && words.textContent !== text) words.textContent = text;
});

onEnhance("[data-filters]", (element) => {
  const form = /** @type {HTMLFormElement} */ (element);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      const text = String(value).trim();
      if (!text) continue;
      const before = name === "status" ? query.get(name) : null;
      query.set(name, before ? `${before},${text}` : text);
    }
    const text = query.toString().replaceAll("%2C", ",").replaceAll("%2F", "/");
    location.assign(text ? `${form.action}?${text}` : form.action);
  });
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLElement && event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
  });
});

onEnhance("[data-selection]", (element) => {
  const form = /** @type {HTMLFormElement} */ (element);
  const bar = /** @type {HTMLElement} */ (form.querySelector("[data-selected]"));
  const picks = () => /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll("[data-pick]")]);
  const all = /** @type {HTMLInputElement | null} */ (form.querySelector("[data-pick-all]"));
  const count = () => {
    const picked = picks().filter((box) => box.checked);
    for (const box of picks()) box.closest("tr")?.toggleAttribute("data-kept", box.checked);
    bar.hidden = picked.length === 0;
    const words = bar.querySelector("[data-count]");
    if (words) words.textContent = formatWhole(picked.length);
    /** @type {HTMLInputElement} */ (form.elements.namedItem("ids")).value = picked.map((box) => box.dataset.pick).join(",");
    if (all) {
      all.checked = picked.length > 0 && picked.length === picks().length;
      all.indeterminate = picked.length > 0 && !all.checked;
    }
  };
  if (!bar) return;
  form.addEventListener("change", (event) => {
    if (event.target === all && all) for (const box of picks()) box.checked = all.checked;
    count();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "x" || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    if (event.target instanceof HTMLElement && event.target.matches("input, select, textarea")) return;
    const box = form.querySelector('tr[aria-selected="true"] [data-pick]');
    if (box instanceof HTMLInputElement) box.click();
  });
  count();
});
