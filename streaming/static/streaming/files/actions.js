/** What the user does to files: asks first where something would be lost, and says in words how it went. */
import { element } from "../map/dom.js";
import { gettext, interpolate, ngettext } from "../map/gettext.js";
import { formatBytes } from "../map/properties.js";
import { Refused } from "./api.js";
import { ask, askText, confirm } from "./dialogs.js";
import { join, nameOf, numbered, parentOf } from "./paths.js";
import { ago, inWords } from "./words.js";

const MOST_NAMES = 100;
const CHOICES = [
  { value: "skip", label: gettext("Skip") },
  { value: "keep", label: gettext("Keep both"), primary: true },
  { value: "replace", label: gettext("Replace"), danger: true },
];

export class Actions {
  #api;
  #say;
  #trashDays;

  /** @param {import("./api.js").FilesApi} api @param {(text: string, bad?: boolean) => void} say @param {number} trashDays how long the trash is kept */
  constructor(api, say, trashDays) {
    this.#api = api;
    this.#say = say;
    this.#trashDays = trashDays;
  }

  async makeDirectory(parent) {
    const name = await askText(gettext("New folder"), gettext("Name"), "", gettext("Make"), (text) => nameProblem(text));
    if (name) await this.#try(() => this.#api.makeDirectory(join(parent, name)), interpolate(gettext("%(name)s was made."), { name }));
  }

  /** @returns {Promise<string | null>} the new path */
  async move({ path }) {
    const to = await askText(gettext("Rename or move"), gettext("Path in the folder"), path, gettext("Move"), (text) => (text ? "" : gettext("A name is needed.")));
    if (!to || to === path) return null;
    return (await this.#try(() => this.#api.move(path, to), interpolate(gettext("%(name)s is now %(path)s."), { name: nameOf(path), path: to }))) ? to : null;
  }

  /** @returns {Promise<boolean>} */
  async remove(entry) {
    const name = nameOf(entry.path);
    const days = this.#trashDays;
    const text = entry.is_directory
      ? ngettext(
          "The folder %(name)s and everything in it goes to the trash, where it stays for a day and can be restored.",
          "The folder %(name)s and everything in it goes to the trash, where it stays for %(days)s days and can be restored.",
          days,
        )
      : ngettext(
          "%(name)s goes to the trash, where it stays for a day and can be restored.",
          "%(name)s goes to the trash, where it stays for %(days)s days and can be restored.",
          days,
        );
    const title = interpolate(gettext("Delete %(name)s?"), { name });
    if (!(await confirm(title, interpolate(text, { name, days }), gettext("Delete")))) return false;
    return this.#try(() => this.#api.remove(entry), interpolate(gettext("%(name)s is in the trash."), { name }));
  }

  /** Bring something back; beside what is there now, or in its place, as the user likes. @returns {Promise<boolean>} */
  async restore(id, path) {
    try {
      await this.#api.restore(id, path);
      this.#say(interpolate(gettext("%(name)s was restored."), { name: nameOf(path) }));
      return true;
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "exists") return this.#failed(error);
    }
    const question = interpolate(gettext("There is a %(name)s now. If it is replaced, it goes to the trash."), { name: nameOf(path) });
    const buttons = CHOICES.filter(({ value }) => value !== "skip");
    const choice = await ask({ title: gettext("Restore an earlier version"), content: [element("p", {}, question)], buttons });
    if (choice === "replace") return this.#try(() => this.#api.restore(id, path, true), interpolate(gettext("%(name)s is what it was before."), { name: nameOf(path) }));
    return choice === "keep" && this.#try(() => this.#restoreBeside(id, path), gettext("It was restored beside the other."));
  }

  /** What becomes of an upload that has the name of something else. @returns {Promise<{choice: string, always: boolean}>} */
  async resolve({ path, file }, current, more) {
    const rows = [
      [gettext("There"), `${formatBytes(current?.size ?? 0)}, ${current ? ago(current.modified) : gettext("changed just now")}`],
      [gettext("Yours"), `${formatBytes(file.size)}, ${ago(new Date(file.lastModified).toISOString())}`],
    ];
    const list = element("dl", {}, ...rows.map(([term, text]) => element("div", {}, element("dt", {}, term), element("dd", {}, text))));
    const box = element("input", { type: "checkbox" });
    const always = more > 0 ? [element("label", { class: "check" }, box, gettext("Do the same with all others"))] : [];
    const question = parentOf(path) ? gettext("There is a %(name)s already in %(folder)s") : gettext("There is a %(name)s already");
    const title = interpolate(question, { name: nameOf(path), folder: parentOf(path) });
    const choice = await ask({ title, content: [list, ...always], buttons: CHOICES, mayCancel: false });
    return { choice: choice ?? "skip", always: box.checked };
  }

  async #restoreBeside(id, path) {
    for (let number = 2; ; number += 1) {
      try {
        return await this.#api.restore(id, numbered(path, number));
      } catch (error) {
        if (error.code !== "exists" || number >= MOST_NAMES) throw error;
      }
    }
  }

  async #try(act, done) {
    try {
      await act();
    } catch (error) {
      return this.#failed(error);
    }
    this.#say(done);
    return true;
  }

  #failed(error) {
    if (!(error instanceof Refused)) throw error;
    this.#say(inWords(error), true);
    return false;
  }
}

const nameProblem = (text) => (!text ? gettext("A name is needed.") : text.includes("/") ? gettext("A name has no /.") : "");
