// The dialog in which a task is described before it runs.
import { gettext } from "../../streaming/map/gettext.js";
import { element } from "../dom.js";
import { execute, Refusal } from "../execute.js";

/**
 * Opens it. A form has `process`, `title`, `task` (what is remembered of it), `note`, `fields` ([{ id, label, elements }], where id is the
 * input of the process) and `inputs()`, which throws an Error that says what is missing. `started(job, task)` is called when it runs.
 */
export function openForm(form, config, started) {
  const problem = element("p", { class: "error-text", role: "alert", "data-testid": "task-problem" });
  const submit = element("button", { type: "submit", class: "button primary", "data-testid": "task-run" }, gettext("Run"));
  const dialog = element("dialog", { class: "glass task-dialog", "aria-labelledby": "task-title" },
    element("form", { method: "dialog", novalidate: true, onsubmit: run },
      element("h2", { id: "task-title" }, form.title),
      ...form.fields.map(row),
      form.note ? element("p", { class: "hint" }, form.note) : null,
      problem,
      element("div", { class: "task-buttons" }, element("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, gettext("Cancel")), submit)));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();

  async function run(event) {
    event.preventDefault();
    complain([]);
    submit.disabled = true;
    try {
      const inputs = form.inputs();
      const job = await execute(`${config.urls.processes}/${form.process}/execution`, inputs, config.csrf);
      started(job, { process: form.process, title: form.title, layer: form.layer, result: inputs.publish_to });
      dialog.close();
    } catch (error) {
      complain(error instanceof Refusal && error.errors.length ? error.errors : [{ detail: error.message }]);
    } finally {
      submit.disabled = false;
    }
  }
  function complain(errors) {
    const titles = Object.fromEntries(form.fields.map(({ id, label }) => [id, label]));
    problem.textContent = errors.map(({ input, detail }) => (titles[input] ? `${titles[input]}: ${detail}` : detail)).join("; ");
  }
}

function row({ label, elements }) {
  return element("label", { class: "task-field" }, element("span", {}, label), element("span", { class: "task-control" }, ...elements));
}

const LAYER_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/** The field with the name of the layer for the result. */
export function resultField(value) {
  const input = element("input", { type: "text", value, maxlength: 100, spellcheck: "false", autocomplete: "off", autocapitalize: "off", "data-testid": "task-result" });
  return { field: { id: "publish_to", label: gettext("New layer"), elements: [input] }, read };

  function read() {
    const name = required(input.value.trim(), gettext("New layer: a name is needed"));
    if (!LAYER_NAME.test(name)) throw new Error(gettext("New layer: letters, digits, “_”, “.” and “-”, beginning with a letter or digit"));
    return name;
  }
}

export function required(value, message) {
  if (!value) throw new Error(message);
  return value;
}

/** A name that no layer of the map has, unless it may be taken again: `flights-buffer`, or as the pattern of the names that may be made demands. */
export function freeName(page, pattern, name, again = false) {
  if (!pattern.endsWith("*")) return pattern;
  const prefix = pattern.slice(0, -1);
  const first = `${prefix}${name.startsWith(prefix) ? name.slice(prefix.length) : name}`.slice(0, 90);
  let found = first;
  for (let number = 2; !again && page.hasLayer(found); number += 1) found = `${first}-${number}`;
  return found;
}
