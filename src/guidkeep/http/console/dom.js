// Makes elements. Text is only ever set as text, so nothing that is stored can become markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** An HTML element. Attributes that are functions listen to the event of their name. */
export function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

let last = 0;

/** An id that nothing else on the page has. */
export function freshId(prefix) {
  return `${prefix}-${++last}`;
}

/** Tells those who can't see it what has just happened. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}
