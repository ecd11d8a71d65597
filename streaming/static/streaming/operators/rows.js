/** A table whose rows stay as long as what they show does: a button in one keeps the focus while figures change around it. */

export class Rows {
  #rows = new Map();

  /** @param {HTMLElement} body @param {(item: any) => {nodes: HTMLElement[], update(item: any): void}} make */
  constructor(body, make) {
    this.body = body;
    this.make = make;
  }

  /** @param {[string, any][]} items keys and what to show, in order */
  show(items) {
    const wanted = new Set(items.map(([key]) => key));
    for (const [key, { nodes }] of this.#rows) {
      if (wanted.has(key)) continue;
      for (const node of nodes) node.remove();
      this.#rows.delete(key);
    }
    let place = this.body.firstElementChild;
    for (const [key, item] of items) {
      if (!this.#rows.has(key)) this.#rows.set(key, this.make(item));
      const row = this.#rows.get(key);
      row.update(item);
      for (const node of row.nodes) {
        if (node === place) place = place.nextElementSibling;
        else this.body.insertBefore(node, place);
      }
    }
  }
}
