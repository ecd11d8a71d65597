// The page of one process: its form, and the job that it starts.
import { element, pageData } from "./dom.js";
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
  execute().catch((error) => problem(error.message));
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

async function execute() {
  const values = await inputs();
  if (values === null) return;
  stopWatching();
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    const response = await fetch(config.execute_url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", prefer: "respond-async", "x-csrftoken": config.csrf },
      body: JSON.stringify({ inputs: values, response: "document" }),
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) return refused(response.status, answer);
    const job = `${config.jobs_url}/${answer.jobID}`;
    run.hidden = false;
    stopWatching = watchJob(run, { job, events: `${job}/events`, results: `${job}/results`, countries: config.countries_url }, config.csrf, answer);
    run.scrollIntoView({ block: "nearest", behavior: "smooth" });
  } finally {
    button.disabled = false;
  }
}

function refused(status, answer) {
  const rest = [];
  for (const each of answer.errors ?? []) {
    const field = fields.find((other) => other.id === each.input);
    if (field) field.complain(each.detail);
    else rest.push(each.detail);
  }
  const login = status === 401 && config.login_url ? element("a", { href: config.login_url }, "Log in") : null;
  if (rest.length || !(answer.errors ?? []).length) problem(rest.join("; ") || answer.detail || answer.title || `the server answers ${status}`, login);
}

function problem(text, link) {
  run.hidden = false;
  run.replaceChildren(element("p", { class: "error-text", role: "alert" }, text, link ? " " : "", link));
}
