// One batch: where it stands on L1, and its claims.

import { get } from "../api.js";
import { facts, h, hex, when } from "../dom.js";
import { transaction } from "../links.js";

export async function view(room, [id]) {
  const entry = await get(`/v1/batches/${id}`);
  room.append(
    h("h1", {}, `Batch #${id}`),
    facts([["root", hex(entry.root, 16)], ["posted", when(entry.posted_at)], ["claims", String(entry.count)], ["transaction", entry.transaction ? transaction(entry.transaction) : null]]),
    h("h2", {}, "Its claims, in order"),
    h("ol", { class: "ids", start: 0 }, entry.claims.map((id) => h("li", {}, id === null ? h("span", { class: "quiet" }, "skipped by L1") : h("a", { class: "mono", href: `#/claims/${id}` }, id)))));
}
