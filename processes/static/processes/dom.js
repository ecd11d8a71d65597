// Elements in one call.

/** `element("a", { href: "/" }, "text", other)`: attributes that are false or undefined are left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** The JSON that the page carries. */
export function pageData(id) {
  return JSON.parse(document.getElementById(id).textContent);
}
