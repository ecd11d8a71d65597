// The page of a job's results.
import { pageData } from "./dom.js";
import { showResults } from "./results.js";

const config = pageData("config");
showResults(document.getElementById("results"), config.results_url, config.countries_url);
