/** The requests about files, with the cookie of the page. */

import { gettext, interpolate } from "../map/gettext.js";

export class Refused extends Error {
  /** @param {number} status of the answer, 0 without one @param {{code?: string, message?: string}} [error] @param {object | null} [current] */
  constructor(status, error = {}, current = null) {
    super(error.message ?? (status ? interpolate(gettext("The server answers %(status)s."), { status }) : gettext("The server does not answer.")));
    this.status = status;
    this.code = error.code ?? "";
    /** What is there instead, where a condition did not hold. */
    this.current = current;
  }

  get conflict() {
    return this.status === 412;
  }
}

export class FilesApi {
  #url;
  #csrf;

  /** @param {{api_url: string, csrf: string}} config */
  constructor({ api_url, csrf }) {
    this.#url = api_url;
    this.#csrf = csrf;
  }

  /** The address of an action. Parameters that are not set are left out. */
  url(action, parameters = {}) {
    const set = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const query = new URLSearchParams(set.map(([name, value]) => [name, String(value)]));
    return `${this.#url}${action}${set.length ? `?${query}` : ""}`;
  }

  /** What every request that changes something has. */
  get headers() {
    return { "X-CSRFToken": this.#csrf };
  }

  rights = () => this.#json("rights");
  list = (path, cursor, limit) => this.#json("list", { path, cursor, limit, recursive: false });
  metadata = (path) => this.#json("metadata", { path });
  history = (path, limit) => this.#json("files/history", { path, limit });
  trash = (cursor, limit) => this.#json("files/trash", { cursor, limit });
  ingests = (path, limit) => this.#json("files/ingests", { path, limit });
  makeDirectory = (path) => this.#post("mkdir", { path });
  move = (from, to) => this.#post("rename", { from, to });
  restore = (id, path, replace = false) => this.#post("files/restore", { id, path, replace });
  downloadUrl = (path) => this.url("download", { path });

  /** Delete a file while it is this version, or a directory with all that is in it. */
  remove({ path, hash, is_directory }) {
    const headers = is_directory ? this.headers : { ...this.headers, "If-Match": `"${hash}"` };
    return this.#send(this.url("delete", { path, recursive: is_directory ? "true" : "" }), { method: "DELETE", headers });
  }

  /** Some or all bytes of a file. @returns {Promise<ArrayBuffer>} */
  async bytes(path, most) {
    const headers = most ? { Range: `bytes=0-${most - 1}` } : {};
    return (await this.#send(this.downloadUrl(path), { headers })).arrayBuffer();
  }

  async #json(action, parameters) {
    return (await this.#send(this.url(action, parameters))).json();
  }

  async #post(action, body) {
    const headers = { ...this.headers, "Content-Type": "application/json" };
    return (await this.#send(this.url(action), { method: "POST", headers, body: JSON.stringify(body) })).json();
  }

  async #send(url, options = {}) {
    let answer;
    try {
      answer = await fetch(url, { credentials: "same-origin", ...options });
    } catch {
      throw new Refused(0);
    }
    if (answer.ok) return answer;
    const body = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, body.error ?? {}, body.current ?? null);
  }
}
