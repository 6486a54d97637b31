// @ts-check
// Makes an element look like another one by changing only what differs: what is focused, selected or read stays as it is.

/** What a person has done to an element, which the server knows nothing of. */
const KEPT = new Set(["aria-selected", "open", "data-kept"]);

/**
 * @param {Element} target
 * @param {string} html one element
 */
export function morph(target, html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  const wanted = template.content.firstElementChild;
  if (wanted) patch(target, document.importNode(wanted, true));
}

/**
 * @param {Element} now
 * @param {Element} wanted
 */
function patch(now, wanted) {
  for (const { name } of [...now.attributes]) {
    if (!wanted.hasAttribute(name) && !KEPT.has(name)) now.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (!KEPT.has(name) && now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  if (now instanceof HTMLTimeElement && now.dataset.shown === now.dataset.time) return; // times.js has written it already
  patchChildren(now, wanted);
}

/**
 * @param {Element} now
 * @param {Element} wanted
 */
function patchChildren(now, wanted) {
  const keyed = new Map();
  for (const child of now.children) if (child.hasAttribute("data-key")) keyed.set(child.getAttribute("data-key"), child);
  let place = now.firstChild;
  for (const next of [...wanted.childNodes]) {
    const key = next instanceof Element ? next.getAttribute("data-key") : null;
    const known = key === null ? place : keyed.get(key);
    if (known && alike(known, next)) {
      if (known === place) place = place.nextSibling;
      else now.insertBefore(known, place);
      if (known instanceof Element) patch(known, /** @type {Element} */ (next));
      else if (known.nodeValue !== next.nodeValue) known.nodeValue = next.nodeValue;
    } else {
      now.insertBefore(next, place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

/**
 * @param {Node} one
 * @param {Node} other
 */
function alike(one, other) {
  if (one.nodeName !== other.nodeName) return false;
  if (!(one instanceof Element) || !(other instanceof Element)) return true;
  return one.getAttribute("data-key") === other.getAttribute("data-key");
}
