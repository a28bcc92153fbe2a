// Batches as they stand on L1.

import { get } from "./api.js";
import { facts, h, hex, when } from "./dom.js";

export async function batches(room) {
  const body = h("tbody");
  const older = h("button", { type: "button", hidden: true }, "Older");
  let cursor = null;

  async function more() {
    const page = await get(`/v1/batches?limit=25${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
    body.append(...page.batches.map((entry) => h("tr", {},
      h("td", { "data-label": "batch" }, h("a", { href: `#/batches/${entry.number}` }, `#${entry.number}`)),
      h("td", { "data-label": "claims" }, String(entry.count)),
      h("td", { "data-label": "root" }, hex(entry.root)),
      h("td", { "data-label": "posted" }, when(entry.posted_at)))));
    cursor = page.next;
    older.hidden = cursor === null;
  }

  older.addEventListener("click", more);
  room.append(
    h("h1", {}, "Batches"),
    h("p", { class: "lead" }, "The sequencer posts claims to L1 in batches. L1 computes a batch's root itself, from the bytes that were posted."),
    h("table", { class: "list" }, h("thead", {}, h("tr", {}, ["batch", "claims", "root", "posted"].map((name) => h("th", { scope: "col" }, name)))), body),
    older);
  await more();
  if (!body.children.length) room.append(h("p", { class: "quiet" }, "No batch yet."));
}

export async function batch(room, [id]) {
  const entry = await get(`/v1/batches/${id}`);
  room.append(
    h("h1", {}, `Batch #${id}`),
    facts([["root", hex(entry.root, 16)], ["posted", when(entry.posted_at)], ["claims", String(entry.count)], ["transaction", entry.transaction ? hex(entry.transaction) : null]]),
    h("h2", {}, "Its claims, in order"),
    h("ol", { class: "ids", start: 0 }, entry.claims.map((id) => h("li", {}, id === null ? h("span", { class: "quiet" }, "skipped by L1") : h("a", { class: "mono", href: `#/claims/${id}` }, id)))));
}
