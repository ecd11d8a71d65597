/** One topic: joined with a switch, its members, what is said there, and a box to say something. */
import { setText } from "../map/dom.js";
import { gettext, interpolate, LANGUAGE } from "../map/gettext.js";
import { EventLog, asText } from "./event-log.js";
import { Members, guarded } from "./members.js";
import { TokenRefused, askForToken } from "./tokens.js";
import { inWords } from "./words.js";

const KEPT = 200;
/** Not messages: the protocol's own, and what is shown elsewhere on the card. */
const UNSHOWN = /^(phx_|chan_reply_|presence_|datetime$)/;

export class TopicCard {
  #channel = null;
  #attempt = 0;
  #token = "";
  #whyNone = "";

  /** @param {HTMLElement} root @param {import("../vendor/phoenix/phoenix.mjs").Socket} socket @param {object} config */
  constructor(root, socket, config) {
    this.root = root;
    this.socket = socket;
    this.config = config;
    this.toggle = this.#part("toggle");
    this.name = root.querySelector("[data-part=topic-input]");
    this.members = new Members(this.#part("members"), this.#part("count"), config.name);
    const [list, empty, pause, clear] = ["log", "empty", "pause", "clear"].map((part) => this.#part(part));
    this.log = new EventLog({ list, empty, pause, clear, kept: KEPT });
    this.toggle.addEventListener("change", () => (this.toggle.checked ? this.#join() : this.#leave()));
    this.#part("send").addEventListener("submit", (event) => this.#send(event));
    this.#enter("off");
  }

  get topic() {
    return this.name ? this.name.value.trim() : this.root.dataset.topic;
  }

  #part(name) {
    return this.root.querySelector(`[data-part=${name}]`);
  }

  #enter(state, problem = "") {
    this.root.dataset.state = state;
    this.toggle.checked = state !== "off";
    if (this.name) this.name.disabled = state !== "off";
    this.#part("say").disabled = state !== "joined";
    setText(this.#part("state"), { off: gettext("Not joined"), joining: gettext("Joining…"), joined: gettext("Joined") }[state]);
    setText(this.#part("problem"), problem);
    if (state === "joined") return;
    setText(this.#part("id"), "–");
    this.members.clear();
  }

  // -- coming and going --------------------------------------------------

  async #join() {
    const attempt = ++this.#attempt;
    if (!this.topic) {
      this.#enter("off", gettext("Which topic?"));
      return;
    }
    this.#enter("joining");
    try {
      this.#token = await askForToken(this.config, this.topic, this.config.name);
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
      if (error.final) {
        if (attempt === this.#attempt) this.#enter("off", error.message);
        return;
      }
      this.#token = ""; // layers, and channels of a project's own, may ask for none
      this.#whyNone = error.message;
    }
    if (attempt === this.#attempt) this.#open(attempt);
  }

  #open(attempt) {
    const channel = this.socket.channel(this.topic, () => (this.#token ? { token: this.#token } : {})); // asked anew whenever it joins again
    const current = () => attempt === this.#attempt;
    this.#channel = channel;
    channel.onMessage = (event, payload) => this.#heard(event, payload);
    this.members.follow(channel);
    channel.on("datetime", ({ response }) => this.#tick(response));
    channel.on("token_expiring", () => this.#renew(channel));
    channel.onError(() => current() && this.#enter("joining", this.#part("problem").textContent || gettext("Interrupted; joining again…")));
    channel.onClose((payload) => current() && this.#closed(payload));
    channel
      .join()
      .receive("ok", (response) => current() && this.#joined(response))
      .receive("error", (refusal) => current() && this.#refused(refusal))
      .receive("timeout", () => current() && this.#enter("joining", inWords({ reason: "timeout" })));
  }

  #joined({ id }) {
    this.#enter("joined");
    setText(this.#part("id"), id ?? "–");
  }

  async #refused(refusal) {
    if (refusal.detail !== "token expired") {
      this.#leave(this.#token || refusal.reason !== "unauthorized" ? inWords(refusal) : this.#whyNone);
      return;
    }
    this.#enter("joining", gettext("The token has expired; asking for another…"));
    try {
      this.#token = await askForToken(this.config, this.topic, this.config.name); // the channel joins again by itself
    } catch (error) {
      this.#leave(error.message);
    }
  }

  async #renew(channel) {
    try {
      this.#token = await askForToken(this.config, this.topic, this.config.name);
      channel.push("access_token", { token: this.#token });
    } catch (error) {
      setText(this.#part("problem"), `${gettext("The token expires soon.")} ${error.message}`);
    }
  }

  #leave(problem = "") {
    this.#attempt += 1;
    const channel = this.#channel;
    this.#channel = null;
    channel?.leave();
    this.#enter("off", problem);
  }

  #closed(payload) {
    this.#attempt += 1;
    this.#channel = null;
    this.#enter("off", inWords(payload?.reason ? payload : { reason: gettext("The server has closed this channel.") }));
  }

  // -- what is said ------------------------------------------------------

  #heard(event, payload) {
    if (!UNSHOWN.test(event)) this.log.add({ event, payload });
    return guarded(event, payload);
  }

  #tick(response) {
    const clock = this.#part("clock");
    const time = new Date(response?.datetime);
    if (!clock || Number.isNaN(time.getTime())) return;
    clock.dateTime = time.toISOString();
    setText(clock, time.toLocaleTimeString(LANGUAGE));
    setText(this.#part("counter"), interpolate(gettext("tick %(number)s"), { number: response.counter }));
  }

  #send(submitted) {
    submitted.preventDefault();
    const told = this.#part("answer");
    let payload;
    try {
      payload = JSON.parse(this.#part("payload").value);
    } catch (error) {
      setText(told, interpolate(gettext("Not JSON: %(why)s"), { why: error.message }));
      told.dataset.outcome = "error";
      return;
    }
    const show = (outcome, text) => {
      told.dataset.outcome = outcome;
      setText(told, text);
    };
    const event = this.#part("event").value;
    show("", "…");
    this.log.add({ event, payload, about: gettext("sent") });
    this.#channel
      ?.push(event, payload)
      .receive("ok", (response) => show("ok", `ok ${asText(response)}`))
      .receive("error", (refusal) => show("error", inWords(refusal)))
      .receive("timeout", () => show("error", inWords({ reason: "timeout" })));
  }
}
