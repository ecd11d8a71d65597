/** What the user does to files: asks first where something would be lost, and says in words how it went. */
import { element } from "../map/dom.js";
import { formatBytes } from "../map/properties.js";
import { Refused } from "./api.js";
import { ask, askText, confirm } from "./dialogs.js";
import { join, nameOf, numbered, parentOf } from "./paths.js";
import { ago, inWords } from "./words.js";

const MOST_NAMES = 100;
const CHOICES = [
  { value: "skip", label: "Skip" },
  { value: "keep", label: "Keep both", primary: true },
  { value: "replace", label: "Replace", danger: true },
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
    const name = await askText("New folder", "Name", "", "Make", (text) => nameProblem(text));
    if (name) await this.#try(() => this.#api.makeDirectory(join(parent, name)), `${name} was made.`);
  }

  /** @returns {Promise<string | null>} the new path */
  async move({ path }) {
    const to = await askText("Rename or move", "Path in the folder", path, "Move", (text) => (text ? "" : "A name is needed."));
    if (!to || to === path) return null;
    return (await this.#try(() => this.#api.move(path, to), `${nameOf(path)} is now ${to}.`)) ? to : null;
  }

  /** @returns {Promise<boolean>} */
  async remove(entry) {
    const name = nameOf(entry.path);
    const what = entry.is_directory ? `The folder ${name} and everything in it goes` : `${name} goes`;
    const text = `${what} to the trash, where it stays for ${this.#trashDays} days and can be restored.`;
    if (!(await confirm(`Delete ${name}?`, text, "Delete"))) return false;
    return this.#try(() => this.#api.remove(entry), `${name} is in the trash.`);
  }

  /** Bring something back; beside what is there now, or in its place, as the user likes. @returns {Promise<boolean>} */
  async restore(id, path) {
    try {
      await this.#api.restore(id, path);
      this.#say(`${nameOf(path)} was restored.`);
      return true;
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "exists") return this.#failed(error);
    }
    const question = `There is a ${nameOf(path)} now. If it is replaced, it goes to the trash.`;
    const buttons = CHOICES.filter(({ value }) => value !== "skip");
    const choice = await ask({ title: "Restore an earlier version", content: [element("p", {}, question)], buttons });
    if (choice === "replace") return this.#try(() => this.#api.restore(id, path, true), `${nameOf(path)} is what it was before.`);
    return choice === "keep" && this.#try(() => this.#restoreBeside(id, path), "It was restored beside the other.");
  }

  /** What becomes of an upload that has the name of something else. @returns {Promise<{choice: string, always: boolean}>} */
  async resolve({ path, file }, current, more) {
    const rows = [
      ["There", `${formatBytes(current?.size ?? 0)}, ${current ? ago(current.modified) : "changed just now"}`],
      ["Yours", `${formatBytes(file.size)}, ${ago(new Date(file.lastModified).toISOString())}`],
    ];
    const list = element("dl", {}, ...rows.map(([term, text]) => element("div", {}, element("dt", {}, term), element("dd", {}, text))));
    const box = element("input", { type: "checkbox" });
    const always = more > 0 ? [element("label", { class: "check" }, box, "Do the same with all others")] : [];
    const where = parentOf(path) ? ` in ${parentOf(path)}` : "";
    const title = `There is a ${nameOf(path)} already${where}`;
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

const nameProblem = (text) => (!text ? "A name is needed." : text.includes("/") ? "A name has no /." : "");
