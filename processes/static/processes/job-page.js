// The page of one job.
import { pageData } from "./dom.js";
import { watchJob } from "./job.js";

const config = pageData("config");
watchJob(document.getElementById("run"), config.urls, config.csrf, config.job, config.published);
