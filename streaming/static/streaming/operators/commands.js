/** What operators may do, each asked about before it is done. */
import { setText } from "../map/dom.js";
import { inWords } from "../channels/words.js";

export class Commands {
  allowed = false;
  #confirm = document.getElementById("confirm");
  #broadcast = document.getElementById("broadcast");
  #outcome = document.getElementById("outcome");
  #pending = null;

  /** @param {import("../vendor/phoenix/phoenix.mjs").Channel} channel the topic `admin` */
  constructor(channel) {
    this.channel = channel;
    this.#confirm.addEventListener("close", () => {
      if (this.#confirm.returnValue === "yes") this.#push(...this.#pending);
    });
    const form = this.#broadcast.querySelector("form");
    form.addEventListener("submit", (event) => this.#submit(event, form));
    for (const button of document.querySelectorAll("dialog [data-cancel]")) {
      button.addEventListener("click", () => button.closest("dialog").close("no"));
    }
  }

  kick(agent, topic, user) {
    this.#ask(`Kick ${user} from ${topic}?`, "The client is told that the channel is closed and does not join again by itself.", "Kick", [
      "kick",
      { agent },
      `${user} was kicked from ${topic}.`,
    ]);
  }

  disconnect(connection, user) {
    this.#ask(`Disconnect ${user}?`, "The connection is closed. Most clients connect again at once.", "Disconnect", [
      "disconnect",
      { connection },
      `${user} was disconnected.`,
    ]);
  }

  broadcast(topic) {
    const form = this.#broadcast.querySelector("form");
    form.elements.topic.value = topic;
    setText(form.querySelector("[role=alert]"), "");
    this.#broadcast.showModal();
    form.elements[topic ? "event" : "topic"].focus();
  }

  #ask(title, text, verb, pending) {
    this.#pending = pending;
    setText(this.#confirm.querySelector("h2"), title);
    setText(this.#confirm.querySelector("p"), text);
    setText(this.#confirm.querySelector("[value=yes]"), verb);
    this.#confirm.returnValue = "no";
    this.#confirm.showModal();
  }

  #submit(submitted, form) {
    submitted.preventDefault();
    const problem = form.querySelector("[role=alert]");
    const [topic, event] = [form.elements.topic.value, form.elements.event.value];
    let payload;
    try {
      payload = JSON.parse(form.elements.payload.value);
    } catch (error) {
      setText(problem, `The payload is not JSON: ${error.message}`);
      return;
    }
    this.#push("broadcast", { topic, event, payload }, `${event} was broadcast on ${topic}.`, (words) => {
      if (words) setText(problem, words);
      else this.#broadcast.close();
    });
  }

  #push(command, payload, done, then = () => {}) {
    const fail = (refusal) => {
      this.#say("error", inWords(refusal));
      then(inWords(refusal));
    };
    this.channel
      .push(command, payload)
      .receive("ok", () => {
        this.#say("ok", done);
        then("");
      })
      .receive("error", fail)
      .receive("timeout", () => fail({ reason: "timeout" }));
  }

  #say(outcome, text) {
    this.#outcome.dataset.outcome = outcome;
    setText(this.#outcome, text);
  }
}
