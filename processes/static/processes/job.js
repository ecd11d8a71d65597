// A job as it goes on: its state, its progress, and its results when it has ended.
import { gettext, interpolate } from "../streaming/map/gettext.js";
import { element } from "./dom.js";
import { serverAnswers } from "./execute.js";
import { showResults } from "./results.js";
import { statusWord } from "./status.js";

const FINAL = ["successful", "failed", "dismissed"];
const POLL_MS = 2000;

/**
 * Shows a job in an element until it has ended. `urls` has job, events, results and countries; `published` the
 * name and the `map_url` of where its result goes, if it does. Returns a function that stops it.
 */
export function watchJob(container, urls, csrf, first, published) {
  const state = element("span", { class: "status", role: "status", "data-testid": "job-status" });
  const fill = element("i");
  const bar = element("div", { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": gettext("Progress") }, fill);
  const message = element("p", { class: "log", "data-testid": "job-message" });
  const dismiss = element("button", { type: "button", class: "button", "data-testid": "dismiss", onclick: end }, gettext("Dismiss"));
  const results = element("div", { "data-testid": "job-results" });
  const open = location.pathname === new URL(urls.job, location).pathname ? null : element("a", { href: urls.job }, gettext("Open the job"));
  const map = published?.map_url ? element("a", { href: published.map_url, "data-testid": "on-the-map", hidden: true }, interpolate(gettext("Show %(name)s on the map"), { name: published.name })) : null;
  container.replaceChildren(element("div", { class: "actions" }, state, dismiss, map, open), bar, message, results);
  let source, timer, over = false;

  function show(info) {
    const percent = info.progress ?? 0;
    state.dataset.status = info.status;
    state.textContent = info.status === "running" && percent ? `${statusWord("running")}, ${percent} %` : statusWord(info.status);
    fill.style.width = `${info.status === "successful" ? 100 : percent}%`;
    bar.toggleAttribute("data-busy", info.status === "running");
    bar.setAttribute("aria-valuenow", percent);
    message.textContent = info.status === "failed" ? "" : info.message ?? ""; // why it failed is shown as a result
    if (map) map.hidden = !["running", "successful"].includes(info.status);
    if (FINAL.includes(info.status) && !over) finish(info);
  }
  function finish(info) {
    stop();
    over = true;
    dismiss.hidden = true;
    if (info.status === "successful") showResults(results, urls.results, urls.countries);
    if (info.status === "failed") showFailure();
  }
  async function showFailure() {
    const problem = await fetch(urls.results, { headers: { accept: "application/json" } }).then((response) => response.json()).catch(() => null);
    if (problem) results.replaceChildren(element("p", { class: "error-text", role: "alert" }, [problem.title, problem.detail].filter(Boolean).join(": ")));
  }
  async function end() {
    dismiss.disabled = true;
    const response = await fetch(urls.job, { method: "DELETE", headers: { accept: "application/json", "x-csrftoken": csrf } });
    dismiss.disabled = false;
    if (response.ok) show(await response.json());
    else message.textContent = (await response.json().catch(() => ({}))).detail ?? serverAnswers(response.status);
  }
  async function poll() {
    const info = await fetch(urls.job, { headers: { accept: "application/json" } }).then((response) => response.json()).catch(() => null);
    if (info?.status) show(info);
    if (!over) timer = setTimeout(poll, POLL_MS);
  }
  function stop() {
    over = true;
    source?.close();
    clearTimeout(timer);
  }
  if (first) show(first);
  if (!over) {
    source = new EventSource(urls.events);
    source.onmessage = (event) => show(JSON.parse(event.data));
    source.addEventListener("status", (event) => show(JSON.parse(event.data)));
    source.onerror = () => { // asked for every two seconds instead
      source.close();
      if (!over && !timer) poll();
    };
  }
  return stop;
}
