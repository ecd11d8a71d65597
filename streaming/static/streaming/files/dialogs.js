/** Questions, in the browser's own dialogs: they keep the focus, and Escape is "no". */
import { element } from "../map/dom.js";
import { gettext } from "../map/gettext.js";

/**
 * Ask something. @returns {Promise<string | null>} the value of the button; null for Escape and Cancel
 * @param {{title: string, content: (Node | string)[], buttons: {value: string, label: string, danger?: boolean, primary?: boolean}[],
 *   check?: (value: string) => string, mayCancel?: boolean}} question
 * `check` returns what is wrong with an answer; without a button to cancel, one of the others means the same
 */
export function ask({ title, content, buttons, check = () => "", mayCancel = true }) {
  const problem = element("p", { class: "error-text", role: "alert" });
  const cancel = element("button", { type: "button", class: "button" }, gettext("Cancel"));
  const choices = buttons.map(({ value, label, danger, primary }) =>
    element("button", { type: "submit", class: `button${danger ? " danger" : primary ? " primary" : ""}`, value }, label),
  );
  const heading = element("h2", { id: "dialog-title" }, title);
  const form = element("form", { method: "dialog" }, heading, ...content, problem, element("div", { class: "dialog-buttons" }, ...(mayCancel ? [cancel] : []), ...choices));
  const dialog = element("dialog", { class: "glass question", "aria-labelledby": "dialog-title" }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    cancel.addEventListener("click", () => dialog.close(""));
    form.addEventListener("submit", (event) => {
      problem.textContent = check(event.submitter?.value ?? "");
      if (problem.textContent) event.preventDefault();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue || null);
    });
    dialog.showModal();
  });
}

/** @returns {Promise<boolean>} */
export async function confirm(title, text, label) {
  return (await ask({ title, content: [element("p", {}, text)], buttons: [{ value: "yes", label, danger: true }] })) === "yes";
}

/** Ask for a line of text. @param {(text: string) => string} check returns what is wrong with it @returns {Promise<string | null>} */
export async function askText(title, label, value, action, check) {
  const input = element("input", { type: "text", value, maxlength: "1024", spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
  const end = value.lastIndexOf(".");
  queueMicrotask(() => input.setSelectionRange(value.lastIndexOf("/") + 1, end > value.lastIndexOf("/") + 1 ? end : value.length));
  const answer = await ask({
    title,
    content: [element("label", {}, label, input)],
    buttons: [{ value: "yes", label: action, primary: true }],
    check: () => check(input.value.trim()),
  });
  return answer && input.value.trim();
}
