// @ts-check
// Has a function look after every element that a selector finds: now, and in what comes into the page later.

/** @type {Array<[string, (element: HTMLElement) => void]>} */
const known = [];
/** @type {WeakMap<Element, Set<Function>>} */
const done = new WeakMap();

/**
 * @param {string} selector
 * @param {(element: HTMLElement) => void} look called once for each element
 */
export function onEnhance(selector, look) {
  known.push([selector, look]);
  apply(document, selector, look);
}

/**
 * For a part that has just come into the page.
 * @param {ParentNode} root
 */
export function enhance(root) {
  for (const [selector, look] of known) apply(root, selector, look);
}

/**
 * @param {ParentNode} root
 * @param {string} selector
 * @param {(element: HTMLElement) => void} look
 */
function apply(root, selector, look) {
  const found = /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(selector));
  for (const element of found) {
    const seen = done.get(element) ?? new Set();
    if (seen.has(look)) continue;
    done.set(element, seen.add(look));
    look(element);
  }
}
