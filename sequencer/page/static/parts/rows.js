// Tables whose rows become two lines on a phone.

import { h } from "../dom.js";

/** One row. `cells`: [name of the column, line on a phone (1 or 2), what stands in it]. */
export const row = (cells, attributes = {}) =>
  h("tr", attributes, cells.map(([name, line, content]) => h("td", { "data-label": name, class: `line${line}` }, content)));

export function table(names, body, caption) {
  return h("table", { class: "list" },
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
    body);
}

/** A listing that grows by pages: `page(cursor)` gives `{entries, next}`, `draw(entry)` a row. Returns its elements and `refresh`. */
export function pages(names, page, draw, nothing, caption) {
  const body = h("tbody");
  const empty = h("p", { class: "quiet" }, nothing);
  const shownAs = table(names, body, caption);
  const older = h("button", { type: "button", hidden: true }, "Older");
  let shown = 1;

  async function refresh() {
    const rows = [];
    let next = null;
    for (let n = 0; n < shown && (n === 0 || next !== null); n++) {
      const found = await page(next);
      rows.push(...(await Promise.all(found.entries.map(draw))));
      next = found.next;
    }
    body.replaceChildren(...rows);
    older.hidden = next === null;
    empty.hidden = rows.length > 0;
    shownAs.hidden = rows.length === 0;
  }

  older.addEventListener("click", () => {
    shown += 1;
    refresh().catch(() => { shown -= 1; });
  });
  return { parts: [shownAs, empty, older], body, refresh };
}
