// Processes on the live map: buffers of what it shows, hotspots of a live layer, and the jobs that compute them.
import { gettext } from "../../streaming/map/gettext.js";
import { element } from "../dom.js";
import { bufferForm } from "./buffer.js";
import { hotspotsForm } from "./hotspots.js";
import { MapJobs } from "./jobs.js";
import { openForm } from "./form.js";

/** Called by the map page once, with what a part may use of it, and what the server told of this user. */
export async function extend(page, config) {
  const section = page.addSection("processes", gettext("Processes"));
  const all = element("a", { href: config.urls.landing, "data-testid": "processes" }, gettext("All processes"));
  section.append(element("p", { class: "hint" }, hint(config), all));
  if (!config.may_execute || config.result_names === null) return;
  const jobs = new MapJobs(page, config, section);
  const run = (form) => (layer) => openForm(form(page, layer, config.result_names), config, (job, task) => jobs.add(job, task));
  const hotspotsRun = () => jobs.active.some(({ process }) => process === "hotspots");
  const hotspotsOf = (layer) => jobs.active.find(({ task }) => task?.process === "hotspots" && task.layer === layer.name);
  page.addLayerAction({ label: gettext("Buffer…"), run: run(bufferForm) });
  page.addLayerAction({ label: gettext("Hotspots…"), run: run((...about) => hotspotsForm(...about, hotspotsRun())), when: (layer) => !hotspotsOf(layer) });
  page.addLayerAction({ label: gettext("Stop the hotspots"), run: (layer) => hotspotsOf(layer)?.dismiss(), when: (layer) => Boolean(hotspotsOf(layer)) });
  await jobs.load();
}

function hint({ may_execute, result_names, user }) {
  if (!user && (!may_execute || result_names === null)) return `${gettext("Buffers and hotspots are for users who have logged in.")} `;
  if (!may_execute || result_names === null) return `${gettext("Buffers and hotspots need the permission to add layers.")} `;
  return `${gettext("Buffers and hotspots are in the menu of each layer.")} `;
}
