// Batches as they stand on L1.

import { get, listing } from "../api.js";
import { h, hex, when } from "../dom.js";
import { batchLink, transaction } from "../links.js";
import { pages, row } from "../parts/rows.js";

export async function view(room) {
  const page = async (cursor) => {
    const found = await get(listing("/v1/batches", { limit: 25, cursor }));
    return { entries: found.batches, next: found.next };
  };
  const draw = (entry) => row([
    ["batch", 1, batchLink(entry.number)],
    ["claims", 1, `${entry.count} claims`],
    ["root", 1, hex(entry.root)],
    ["transaction", 2, transaction(entry.transaction, 4)],
    ["posted", 2, when(entry.posted_at)],
  ]);
  const list = pages(["batch", "claims", "root", "transaction", "posted"], page, draw, "No batch yet.", "Batches, newest first");
  room.append(
    h("h1", {}, "Batches"),
    h("p", { class: "lead" }, "The sequencer posts claims to L1 in batches. L1 computes a batch's root itself, from the bytes that were posted."),
    ...list.parts);
  await list.refresh();
}
