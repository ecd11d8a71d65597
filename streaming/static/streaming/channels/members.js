/** Who is on a topic, as chips. */
import { Presence } from "../vendor/phoenix/phoenix.mjs";
import { element, setText } from "../map/dom.js";
import { gettext, interpolate, LANGUAGE } from "../map/gettext.js";

const SHOWN = 100;
const MARK = "@";
const marked = (people) => Object.fromEntries(Object.entries(people ?? {}).map(([key, person]) => [MARK + key, person]));

/** Presence looks people up in plain objects, where `constructor` or `__proto__` would be somebody else: no key stays as it is. */
export function guarded(event, payload) {
  if (event === "presence_state") return marked(payload);
  if (event === "presence_diff") return { joins: marked(payload.joins), leaves: marked(payload.leaves) };
  return payload;
}

export class Members {
  /** @param {HTMLElement} list @param {HTMLElement} count @param {string} own the name that is marked as one's own */
  constructor(list, count, own) {
    this.list = list;
    this.count = count;
    this.own = own;
  }

  /** @param {import("../vendor/phoenix/phoenix.mjs").Channel} channel whose `onMessage` guards the keys */
  follow(channel) {
    const presence = new Presence(channel);
    presence.onSync(() => this.#show(presence.list((key, { metas }) => ({ key: key.slice(MARK.length), metas }))));
    channel.on("presence_count", ({ count }) => setText(this.count, String(count)));
  }

  clear() {
    this.list.replaceChildren();
    setText(this.count, "");
  }

  #show(people) {
    const sorted = people.sort((a, b) => (a.key < b.key ? -1 : 1));
    setText(this.count, String(people.reduce((sum, { metas }) => sum + metas.length, 0)));
    this.list.replaceChildren(...sorted.slice(0, SHOWN).map((person) => this.#chip(person)));
    if (people.length > SHOWN) this.list.append(element("li", { class: "more" }, interpolate(gettext("and %(count)s more"), { count: people.length - SHOWN })));
  }

  #chip({ key, metas }) {
    const since = new Date(1000 * (metas[0]?.online_at ?? Number.NaN));
    const title = Number.isNaN(since.getTime()) ? "" : interpolate(gettext("since %(time)s"), { time: since.toLocaleTimeString(LANGUAGE) });
    const chip = element("li", { class: key === this.own ? "member own" : "member", title }, key || gettext("(no name)"));
    if (metas.length > 1) chip.append(element("span", { class: "times" }, `×${metas.length}`));
    return chip;
  }
}
