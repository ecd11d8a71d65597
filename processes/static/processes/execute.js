// Having a process executed, as a page of this site.

import { gettext, interpolate } from "../streaming/map/gettext.js";

/** The server's words about a request that it refuses; `errors` are those about single inputs: { input, detail }. */
export class Refusal extends Error {
  constructor(status, answer) {
    super(answer.detail || answer.title || serverAnswers(status));
    this.status = status;
    this.errors = answer.errors ?? [];
  }
}

/** What is said where the server has no words of its own. */
export const serverAnswers = (status) => interpolate(gettext("the server answers %(status)s"), { status });

/** Resolves with the job, which may have to wait for a worker. Rejects with a Refusal. */
export async function execute(url, inputs, csrf) {
  return request(url, csrf, {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "respond-async" },
    body: JSON.stringify({ inputs, response: "document" }),
  });
}

/** JSON of the API, as the user of the page. Rejects with a Refusal. */
export async function request(url, csrf, { headers = {}, ...options } = {}) {
  const response = await fetch(url, { ...options, headers: { accept: "application/json", "x-csrftoken": csrf, ...headers } }).catch(() => {
    throw new Error(gettext("The server does not answer. Try again in a moment."));
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, answer);
  return answer;
}
