/** The texts of pages in the page's language: Django's catalogue where the page has loaded one, else as they are written here.
 *
 * `makemessages` finds these calls, if the text is a literal: `interpolate(gettext("%(count)s in view"), { count })`. */

const PAGE = globalThis.document?.documentElement.lang || "en";

/** What `Intl` formats in: the page's language, as it is written where the browser is at home (`de-CH`). */
export const LANGUAGE = globalThis.navigator?.languages?.find((each) => each === PAGE || each.startsWith(`${PAGE}-`)) ?? PAGE;

/** @param {string} text */
export function gettext(text) {
  return globalThis.django?.gettext?.(text) ?? text;
}

/** @param {string} context tells apart what is one word in English @param {string} text */
export function pgettext(context, text) {
  return globalThis.django?.pgettext?.(context, text) ?? text;
}

/** @param {string} one @param {string} many @param {number} count */
export function ngettext(one, many, count) {
  return globalThis.django?.ngettext?.(one, many, count) ?? (count === 1 ? one : many);
}

/** Put values into a text, by their names. @param {string} text @param {Record<string, unknown>} values */
export function interpolate(text, values) {
  return text.replace(/%\((\w+)\)s/g, (match, name) => (name in values ? String(values[name]) : match));
}
