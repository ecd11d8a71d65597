// The jobs that were started from the map: how far they are, stopping them, and their layers.
import { gettext } from "../../streaming/map/gettext.js";
import { element } from "../dom.js";
import { request } from "../execute.js";

const ACTIVE = ["accepted", "running"];
const SHOWN = 20;
const POLL_MS = 3_000;
/** Every so many times also those are asked for of which events come. */
const SELDOM = 5;
const KEY = "geostream-jobs";
const TITLES = { buffer: gettext("Buffer"), hotspots: gettext("Hotspots") };
const WORDS = {
  accepted: gettext("Waiting for a worker"),
  running: gettext("Running"),
  successful: gettext("Done"),
  failed: gettext("Failed"),
  dismissed: gettext("Stopped"),
};

/** The list, in a section of the panel. Jobs are followed by the events that the map receives anyway; now and then they are asked for. */
export class MapJobs {
  #page;
  #config;
  #jobs = new Map();
  #list = element("ul", { class: "map-jobs", "aria-label": gettext("Jobs"), "data-testid": "map-jobs" });

  constructor(page, config, section) {
    this.#page = page;
    this.#config = config;
    section.append(this.#list);
    page.onEvent(({ payload }) => this.#jobs.get(payload?.job)?.take(payload));
    let turn = 0;
    setInterval(() => {
      turn += 1;
      for (const job of this.active) if (!job.heard || turn % SELDOM === 0) job.refresh();
    }, POLL_MS);
  }

  get active() {
    return [...this.#jobs.values()].filter(({ isActive }) => isActive);
  }

  /** Those that go on from before the page was loaded. */
  async load() {
    const query = new URLSearchParams({ processID: "buffer,hotspots", status: ACTIVE.join(), limit: SHOWN });
    const { jobs } = await request(`${this.#config.urls.jobs}?${query}`, this.#config.csrf);
    for (const job of jobs.reverse()) this.#put(job, remembered()[job.jobID]);
  }

  /** One that was just started. */
  add(job, task) {
    sessionStorage.setItem(KEY, JSON.stringify({ ...remembered(), [job.jobID]: task }));
    const added = this.#put(job, task);
    added.item.scrollIntoView({ block: "nearest" });
    added.refresh();
  }

  #put(info, task) {
    const job = new MapJob(info, task, `${this.#config.urls.jobs}/${info.jobID}`, this.#config.csrf, this.#page);
    this.#jobs.set(info.jobID, job);
    job.remove.addEventListener("click", () => {
      job.item.remove();
      this.#jobs.delete(info.jobID);
    });
    this.#list.prepend(job.item);
    return job;
  }
}

function remembered() {
  return JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
}

class MapJob {
  /** Whether events of it come: a server may publish none. */
  heard = false;
  #info;
  #url;
  #csrf;
  #page;
  #shown = false;
  #state = element("span", { role: "status" });
  #progress = element("progress", { max: 100, "aria-label": gettext("Progress") });
  #stop;
  remove = element("button", { type: "button", class: "button quiet", hidden: true }, gettext("Clear"));

  constructor(info, task, url, csrf, page) {
    Object.assign(this, { task });
    [this.#info, this.#url, this.#csrf, this.#page] = [info, url, csrf, page];
    this.#stop = element("button", { type: "button", class: "button quiet", onclick: () => this.dismiss() }, gettext("Stop"));
    const title = element("a", { href: `${url}?f=html`, target: "_blank", rel: "noopener" }, task?.title ?? TITLES[info.processID]);
    this.item = element("li", { "data-job": info.jobID }, title, this.#stop, this.remove, this.#progress, this.#state);
    this.#show();
  }

  get process() {
    return this.#info.processID;
  }

  get isActive() {
    return ACTIVE.includes(this.#info.status);
  }

  /** An event about it. What it resulted in is not in there. */
  take({ status = "running", progress, current, message }) {
    this.heard = true;
    if (!this.isActive) return;
    if (!ACTIVE.includes(status)) return void this.refresh();
    Object.assign(this.#info, { status, progress: progress ?? current ?? this.#info.progress, message: message ?? this.#info.message });
    this.#show();
  }

  async refresh() {
    await this.#ask(() => request(this.#url, this.#csrf));
  }

  async dismiss() {
    this.#stop.disabled = true;
    await this.#ask(() => request(this.#url, this.#csrf, { method: "DELETE" }));
    this.#stop.disabled = false;
  }

  async #ask(question) {
    try {
      this.#info = await question();
    } catch (error) {
      if (error.status !== 404 && error.status !== 410) return this.#page.notice(error.message); // it may be had another time
      this.#info = { ...this.#info, status: "dismissed", message: "" };
    }
    if (this.#info.status === "failed") this.#info.message = await this.#whyItFailed();
    this.#show();
  }

  async #whyItFailed() {
    return request(`${this.#url}/results`, this.#csrf).then(() => "", (refusal) => refusal.message);
  }

  #show() {
    const { status, progress, message } = this.#info;
    this.item.dataset.status = status;
    this.#progress.hidden = !this.isActive;
    if (status === "running" && progress) this.#progress.value = progress;
    else this.#progress.removeAttribute("value");
    this.#state.textContent = [WORDS[status], status === "running" && progress ? `${progress} %` : "", message].filter(Boolean).join(" · ");
    this.#stop.hidden = !this.isActive;
    this.remove.hidden = this.isActive;
    if (status === "successful" || status === "running") this.#showLayer();
  }

  /** Once: who switches it off does not want it on again. */
  async #showLayer() {
    if (this.#shown || !this.task?.result) return;
    this.#shown = true;
    const about = { exists: this.#info.status === "successful", filtered: this.process !== "hotspots" };
    this.#shown = await this.#page.showLayer(this.task.result, about).catch(() => false);
  }
}
