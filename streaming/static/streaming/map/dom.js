/** Making elements without ever parsing text as HTML: whatever comes from a feature or an event stays text. */

/** @param {string} tag @param {Record<string, string>} [attributes] @param {...(Node | string)} children */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const byTestId = (id) => document.querySelector(`[data-testid="${CSS.escape(id)}"]`);

/** Set the text only when it differs: spares layout, and screen readers a repetition. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A drawing of one path. @param {string} path @param {string} viewBox */
export function svg(path, viewBox) {
  const make = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
  const [drawing, line] = [make("svg"), make("path")];
  drawing.setAttribute("viewBox", viewBox);
  drawing.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  drawing.append(line);
  return drawing;
}
