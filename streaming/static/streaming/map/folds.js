/** What of the page is folded: a browser remembers it. */
const STORED = "geostream-folded";

function remembered() {
  try {
    const names = JSON.parse(localStorage.getItem(STORED));
    return new Set(Array.isArray(names) ? names : []);
  } catch {
    return new Set();
  }
}

/** Open a `details` unless it was folded last time. @param {HTMLDetailsElement} details @param {string} name */
export function rememberFold(details, name) {
  details.open = !remembered().has(name);
  details.addEventListener("toggle", () => {
    const names = remembered();
    if (details.open ? !names.delete(name) : names.has(name)) return;
    if (!details.open) names.add(name);
    localStorage.setItem(STORED, JSON.stringify([...names]));
  });
}
