/**
 * The upload of one file: what is small in one request, what is large in parts (tus 1.0.0), which go on after a break and, for a file that is
 * chosen again, after the page was closed.
 */
import { Backoff } from "../client/backoff.js";
import { Refused } from "./api.js";

const TUS = { "Tus-Resumable": "1.0.0" };
const ATTEMPTS = 10;
/** Answers after which the same request may be tried again: somebody else is at it, too much at once, a server that starts again. */
const RETRIED = new Set([0, 423, 429, 502, 503, 504]);
const UNKNOWN = 404;

export class Cancelled extends Error {}

export class Transfer {
  /** Bytes that have been sent. */
  sent = 0;
  #api;
  #file;
  #path;
  #condition;
  #partBytes;
  #changed;
  #backoff = new Backoff({ initial: 1_000, max: 20_000 });
  #request = null;
  #wake = null;
  #cancelled = false;
  /** Whether an answer was lost: then the request may have been carried out. */
  #broken = false;
  #location = null;

  /**
   * @param {import("./api.js").FilesApi} api @param {File} file @param {string} path
   * @param {Record<string, string>} condition the header If-Match or If-None-Match, or nothing
   * @param {number} partBytes what is larger goes in parts of so many bytes
   * @param {() => void} changed called as bytes are sent
   */
  constructor(api, file, path, condition, partBytes, changed) {
    this.#api = api;
    this.#file = file;
    this.#path = path;
    this.#condition = condition;
    this.#partBytes = partBytes;
    this.#changed = changed;
  }

  /** Until it is a file on the server. `Refused`, `Cancelled`. */
  async run() {
    try {
      if (this.#file.size > this.#partBytes) await this.#inParts();
      else await this.#persist(() => this.#whole());
    } catch (error) {
      if (!(this.#broken && (error.conflict || error.status === UNKNOWN) && (await this.#isThere()))) throw error;
      this.#store(null);
    }
  }

  cancel() {
    this.#cancelled = true;
    this.#request?.abort();
    this.#wake?.();
    if (this.#location) this.#forget();
  }

  get #modified() {
    return new Date(this.#file.lastModified).toISOString();
  }

  #whole() {
    this.#moved(0);
    const headers = { ...this.#condition, "X-Mtime": this.#modified };
    return this.#send("PUT", this.#api.url("upload", { path: this.#path }), headers, this.#file, 0);
  }

  async #inParts() {
    let offset = (await this.#resume()) ?? (await this.#create());
    while (offset < this.#file.size) {
      this.#moved(offset);
      offset = await this.#persist(
        () => this.#part(offset),
        async () => (offset = await this.#offset()),
      );
    }
    this.#store(null);
  }

  async #part(offset) {
    const headers = { ...TUS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
    const answer = await this.#send("PATCH", this.#location, headers, this.#file.slice(offset, offset + this.#partBytes), offset);
    return Number(answer.getResponseHeader("Upload-Offset"));
  }

  async #create() {
    const metadata = Object.entries({ path: this.#path, modified: this.#modified });
    const headers = {
      ...TUS,
      ...this.#condition,
      "Upload-Length": String(this.#file.size),
      "Upload-Metadata": metadata.map(([name, value]) => `${name} ${base64(value)}`).join(","),
    };
    const answer = await this.#persist(() => this.#send("POST", this.#api.url("tus"), headers, null, 0));
    this.#location = answer.getResponseHeader("Location");
    this.#store(this.#location);
    return 0;
  }

  /** How much has arrived of an earlier upload of the same file; null if there was none. */
  async #resume() {
    this.#location = localStorage.getItem(this.#key);
    if (!this.#location) return null;
    try {
      return await this.#persist(() => this.#offset());
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#store(null);
      return null;
    }
  }

  async #offset() {
    const answer = await this.#send("HEAD", this.#location, TUS, null, this.sent);
    return Number(answer.getResponseHeader("Upload-Offset"));
  }

  /** Try again what may succeed another time. `again` is done before, and finds out where an upload in parts goes on. */
  async #persist(attempt, again = null) {
    let [tries, before] = [0, this.sent];
    for (;;) {
      try {
        if (tries > 0) await again?.();
        return await attempt();
      } catch (error) {
        if (this.#cancelled) throw new Cancelled();
        if (!(error instanceof Refused)) throw error;
        if (error.status === UNKNOWN) this.#store(null);
        const elsewhere = again !== null && error.status === 409 && error.code === "exists"; // it goes on at another place
        if (this.sent > before) tries = this.#backoff.attempt = 0;
        [tries, before] = [tries + 1, this.sent];
        this.#broken ||= error.status === 0;
        if (tries === ATTEMPTS || !(elsewhere || RETRIED.has(error.status))) throw error;
      }
      await this.#pause();
    }
  }

  /** Whether the file has arrived, though the server's answer has not. */
  async #isThere() {
    const found = await this.#api.metadata(this.#path).catch(() => null);
    return found?.size === this.#file.size && Date.parse(found.modified) === this.#file.lastModified;
  }

  async #pause() {
    await new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, this.#backoff.next());
    });
    if (this.#cancelled) throw new Cancelled();
  }

  /** One request, with its progress. XMLHttpRequest, because `fetch` tells nothing of a body that is being sent. */
  #send(method, url, headers, body, offset) {
    if (this.#cancelled) throw new Cancelled();
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.#request = request;
      request.open(method, url);
      for (const [name, value] of Object.entries({ ...this.#api.headers, ...headers })) request.setRequestHeader(name, value);
      if (body) request.upload.addEventListener("progress", ({ loaded }) => this.#moved(offset + Math.min(loaded, body.size)));
      const fail = () => reject(new Refused(0));
      for (const type of ["error", "abort", "timeout"]) request.addEventListener(type, fail);
      request.addEventListener("load", () => (request.status < 300 ? resolve(request) : reject(refusalOf(request))));
      request.send(body);
    });
  }

  #moved(sent) {
    this.sent = sent;
    this.#changed();
  }

  /** Have the server keep nothing of it. */
  #forget() {
    this.#store(null);
    fetch(this.#location, { method: "DELETE", headers: { ...this.#api.headers, ...TUS } }).catch(() => {}); // it expires
  }

  get #key() {
    return `geostream-upload:${JSON.stringify([this.#path, this.#file.size, this.#file.lastModified, this.#condition])}`;
  }

  /** Remembered so that the same file goes on when the page was closed. */
  #store(location) {
    if (location) localStorage.setItem(this.#key, location);
    else localStorage.removeItem(this.#key);
  }
}

function refusalOf(request) {
  let body = {};
  try {
    body = JSON.parse(request.responseText);
  } catch {
    // a proxy's page: the status says enough
  }
  return new Refused(request.status, body.error ?? {}, body.current ?? null);
}

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
