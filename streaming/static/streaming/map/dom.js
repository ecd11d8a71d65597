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
