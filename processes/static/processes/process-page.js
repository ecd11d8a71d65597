// The page of one process: its form, and the job that it starts.
import { gettext } from "../streaming/map/gettext.js";
import { element, pageData } from "./dom.js";
import { execute, Refusal } from "./execute.js";
import { makeField } from "./fields.js";
import { watchJob } from "./job.js";

const config = pageData("config");
const form = document.getElementById("execute");
const run = document.getElementById("run");
const fields = Object.entries(config.process.inputs ?? {}).map(([id, input]) => makeField(id, input, config.countries_url));
let stopWatching = () => {};

form.querySelector(".inputs").append(...fields.map((field) => field.element));
form.querySelector("[type=submit]").disabled = false;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit().catch((error) => problem(error.message));
});

async function inputs() {
  const values = {};
  let good = true;
  for (const field of fields) {
    field.complain("");
    try {
      const value = await field.read();
      if (value !== undefined) values[field.id] = value;
    } catch (error) {
      field.complain(error.message);
      if (good) field.element.querySelector("input, select, textarea")?.focus();
      good = false;
    }
  }
  return good ? values : null;
}

async function submit() {
  const values = await inputs();
  if (values === null) return;
  stopWatching();
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    const answer = await execute(config.execute_url, values, config.csrf);
    const job = `${config.jobs_url}/${answer.jobID}`;
    run.hidden = false;
    stopWatching = watchJob(run, { job, events: `${job}/events`, results: `${job}/results`, countries: config.countries_url }, config.csrf, answer, published(values.publish_to));
    run.scrollIntoView({ block: "nearest", behavior: "smooth" });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refused(error);
  } finally {
    button.disabled = false;
  }
}

/** Where the result goes: `map_url` is that of no layer, to which the name is added. */
function published(name) {
  if (typeof name !== "string" || !config.map_url) return null;
  const map = config.map_url.replace("?layer=", `?layer=${encodeURIComponent(name)}`);
  return { name, map_url: map + encodeURIComponent(name) };
}

function refused({ status, errors, message }) {
  const rest = [];
  for (const each of errors) {
    const field = fields.find((other) => other.id === each.input);
    if (field) field.complain(each.detail);
    else rest.push(each.detail);
  }
  const login = status === 401 && config.login_url ? element("a", { href: config.login_url }, gettext("Log in")) : null;
  if (rest.length || !errors.length) problem(rest.join("; ") || message, login);
}

function problem(text, link) {
  run.hidden = false;
  run.replaceChildren(element("p", { class: "error-text", role: "alert" }, text, link ? " " : "", link));
}
