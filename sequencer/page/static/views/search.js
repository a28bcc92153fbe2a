// What a word stands for: one answer is shown at once, several are listed.

import { get, listing } from "../api.js";
import { h } from "../dom.js";

const FOLDERS = { claim: "claims", model: "models", batch: "batches", dispute: "disputes", request: "requests", account: "accounts" };

const WORDS = { id: "its id", name: "its name", number: "its number", root: "its root", transaction: "a transaction of it", game: "one of its games", beginning: "how its id begins" };

const address = (hit) => `#/${FOLDERS[hit.kind]}/${hit.id}`;

export async function view(room, _, query) {
  const word = (query.get("q") ?? "").trim();
  const { hits } = word ? await get(listing("/v1/search", { q: word.slice(0, 200) })) : { hits: [] };
  if (hits.length === 1) {
    location.replace(address(hits[0]));
    return;
  }
  room.append(h("h1", {}, "Search"));
  if (!hits.length) {
    room.append(h("p", { class: "lead" }, word ? ["Nothing here is called ", h("b", {}, word), "."] : "Give an id or its beginning, an account, a model's name, a batch's number, or a transaction."));
    return;
  }
  room.append(
    h("p", { class: "lead" }, `${hits.length} things may be meant by `, h("b", {}, word), "."),
    h("ul", { class: "hits" }, hits.map((hit) => h("li", {}, h("a", { href: address(hit) }, hit.kind, " ", h("span", { class: hit.name || hit.kind === "batch" ? "" : "mono" }, hit.name ?? hit.id)), " ", h("span", { class: "quiet" }, WORDS[hit.by])))));
}
