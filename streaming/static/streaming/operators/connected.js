/** Who is connected, in short: the lists of the page, kept as the server tells them. */
import { element, setText } from "../map/dom.js";
import { Rows } from "./rows.js";

/** @param {Iterable<HTMLElement>} bodies the table bodies of the page, as the server has filled them */
export function connectedLists(bodies) {
  const tables = [...bodies].map((body) => {
    body.replaceChildren();
    return new Rows(body, row);
  });
  return (lists) => lists.slice(0, tables.length).forEach(({ rows }, place) => {
    const items = rows.map((each) => [each.address, each]);
    tables[place].show(items.length ? items : [["", { name: "Nobody.", value: "", address: "" }]]);
  });
}

function row() {
  const [link, value] = [element("a"), element("td", { class: "number" })];
  const name = element("th", { scope: "row" }, link);
  const update = (item) => {
    setText(link, item.name);
    setText(value, item.value);
    if (item.address) link.setAttribute("href", item.address);
  };
  return { nodes: [element("tr", {}, name, value)], update };
}
