/**
 * As much of XMLHttpRequest as phoenix.js 1.7 needs to poll where there is only fetch. Later versions take fetch themselves.
 */
const DONE = 4;

export class XMLHttpRequest {
  readyState = 0;
  responseText = "";
  timeout = 0;
  #headers = {};
  #aborting = new AbortController();

  open(method, url) {
    this.method = method;
    this.url = url;
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  abort() {
    this.#aborting.abort();
  }

  async send(body) {
    const late = this.timeout ? AbortSignal.timeout(this.timeout) : null;
    const signal = late ? AbortSignal.any([this.#aborting.signal, late]) : this.#aborting.signal;
    try {
      const response = await fetch(this.url, { method: this.method, headers: this.#headers, body, signal });
      this.responseText = await response.text();
    } catch {
      if (late?.aborted) this.ontimeout?.();
      else if (!this.#aborting.signal.aborted) this.onerror?.();
      return;
    }
    this.readyState = DONE;
    this.onreadystatechange?.();
  }
}
