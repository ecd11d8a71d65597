// The fields of a form, one for each input of a process.
import { gettext, interpolate } from "../streaming/map/gettext.js";
import { element } from "./dom.js";
import { drawField } from "./draw.js";
import { bounds, choices, defaultOf, inWords, kindOf, mediaType } from "./schema.js";

const CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84";

/** A field: its element, `read()` (undefined: left empty; throws an Error that says what is wrong) and `complain(text)`. */
export function makeField(id, input, countries) {
  const { schema = {}, minOccurs = 1, maxOccurs = 1 } = input;
  const several = maxOccurs === "unbounded" || maxOccurs > 1;
  const control = (several ? listControl : controls[kindOf(schema)])(`input-${id}`, schema, countries);
  const problem = element("p", { class: "error-text", role: "alert", hidden: true });
  const label = element("label", { for: `input-${id}` }, input.title || id, minOccurs > 0 ? element("span", { class: "required", title: gettext("required") }, " *") : null);
  const hint = [input.description, several ? gettext("one value a line") : inWords(schema)].filter(Boolean).join(" · ");
  const field = element("div", { class: "field", "data-input": id }, label, ...control.elements, hint ? element("p", { class: "hint" }, hint) : null, problem);
  return {
    id,
    element: field,
    read() {
      const value = control.read();
      if (value === undefined && minOccurs > 0) throw new Error(gettext("this is needed"));
      return value;
    },
    complain(text) {
      field.classList.toggle("bad", Boolean(text));
      problem.hidden = !text;
      problem.textContent = text ?? "";
    },
  };
}

const controls = {
  text(id, schema) {
    const input = element("input", { id, type: "text", value: defaultOf(schema), autocomplete: "off" });
    return { elements: [input], read: () => input.value || undefined };
  },
  number(id, schema) {
    const input = element("input", { id, type: "number", value: defaultOf(schema), inputmode: "decimal", ...bounds(schema) });
    return {
      elements: [input],
      read() {
        if (!input.checkValidity()) throw new Error(input.validationMessage);
        return input.value === "" ? undefined : Number(input.value);
      },
    };
  },
  boolean(id, schema) {
    const input = element("input", { id, type: "checkbox", class: "switch", checked: defaultOf(schema) === true });
    return { elements: [input], read: () => input.checked };
  },
  choice(id, schema) {
    const options = choices(schema).map((value) => element("option", { value: JSON.stringify(value), selected: value === defaultOf(schema) }, String(value)));
    const select = element("select", { id }, element("option", { value: "" }, "–"), ...options);
    return { elements: [select], read: () => (select.value ? JSON.parse(select.value) : undefined) };
  },
  bbox(id) {
    const numbers = [gettext("west"), gettext("south"), gettext("east"), gettext("north")].map((side, index) => element("input", { id: index ? undefined : id, type: "number", step: "any", placeholder: side, "aria-label": side }));
    return {
      elements: [element("div", { class: "numbers" }, ...numbers)],
      read() {
        const values = numbers.map((each) => each.value);
        if (values.every((value) => value === "")) return undefined;
        if (values.some((value) => value === "")) throw new Error(gettext("a box has four numbers"));
        return { bbox: values.map(Number), crs: CRS84 };
      },
    };
  },
  geojson(id, schema, countries) {
    const text = element("textarea", { id, spellcheck: "false", placeholder: '{"type": "Point", "coordinates": [8.54, 47.37]}' });
    return { elements: [drawField(text, countries), text], read: () => qualified(parsed(text.value)) };
  },
  binary(id, schema) {
    const input = element("input", { id, type: "file" });
    return {
      elements: [input],
      read: () => (input.files[0] ? readFile(input.files[0]).then((value) => ({ value, encoding: "base64", mediaType: mediaType(schema) || input.files[0].type })) : undefined),
    };
  },
  json(id, schema) {
    const text = element("textarea", { id, spellcheck: "false" });
    if (defaultOf(schema) !== undefined) text.value = JSON.stringify(defaultOf(schema));
    return { elements: [text], read: () => qualified(parsed(text.value)) };
  },
};
controls.list = (id, schema) => {
  const control = controls.json(id, schema);
  return {
    ...control,
    read() {
      const value = control.read();
      if (value !== undefined && !Array.isArray(value)) throw new Error(gettext("a list begins with [ and ends with ]"));
      return value;
    },
  };
};

/** Several values of an input: a line each. What is not JSON is text. */
function listControl(id, schema) {
  const text = element("textarea", { id, spellcheck: "false" });
  const one = (line) => (kindOf(schema) === "text" ? line : qualified(parsed(line)));
  return {
    elements: [text],
    read() {
      const values = text.value.split("\n").map((line) => line.trim()).filter(Boolean).map(one);
      return values.length ? values : undefined;
    },
  };
}

function parsed(text) {
  if (!text.trim()) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(interpolate(gettext("this is not JSON: %(why)s"), { why: error.message }));
  }
}

/** Objects are sent as qualified values. */
function qualified(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? { value } : value;
}

function readFile(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error(interpolate(gettext("%(name)s cannot be read"), { name: file.name })));
    reader.readAsDataURL(file);
  });
}
