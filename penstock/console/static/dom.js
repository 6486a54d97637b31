// @ts-check
// Elements, made without ever turning a text into markup.

/**
 * @param {string} tag
 * @param {Record<string, string | boolean | ((event: Event) => void)>} [attributes] `onclick` and its like take functions
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/**
 * A symbol of shapes.html.
 * @param {string} name
 */
export function shape(name) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawn.setAttribute("class", "shape");
  drawn.setAttribute("aria-hidden", "true");
  const used = document.createElementNS("http://www.w3.org/2000/svg", "use");
  used.setAttribute("href", `#s-${name}`);
  drawn.append(used);
  return drawn;
}

/**
 * A path that may be broken after its slashes, as `wrapped` does it in templates.
 * @param {string} text
 */
export function pathParts(text) {
  const whole = el("bdi", { title: text });
  text.split(/(?<=\/)/).forEach((piece, index) => {
    if (index > 0) whole.append(document.createElement("wbr"));
    whole.append(piece);
  });
  return whole;
}
