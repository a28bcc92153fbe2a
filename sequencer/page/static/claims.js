// The live list of claims, newest first.

import { get, model, onChange } from "./api.js";
import { chip, h, hex, when } from "./dom.js";

const STATES = ["all", "pending", "posted", "challenged", "final", "invalid"];
const PAGE = 25;

async function row(entry) {
  const name = (await model(entry.claim.model_id)).name;
  const address = `#/claims/${entry.claim_id}`;
  return h("tr", { "data-claim": entry.claim_id },
    h("td", { "data-label": "state" }, chip(entry.state)),
    h("td", { "data-label": "claim" }, h("a", { href: address, class: "mono" }, `${entry.claim_id.slice(0, 10)}…${entry.claim_id.slice(-4)}`)),
    h("td", { "data-label": "model" }, name ?? hex(entry.claim.model_id, 4)),
    h("td", { "data-label": "claimant" }, hex(entry.claim.claimant, 4)),
    h("td", { "data-label": "batch" }, entry.batch ? h("a", { href: `#/batches/${entry.batch.number}` }, `#${entry.batch.number}`) : "–"),
    h("td", { "data-label": "taken" }, when(entry.taken_at)));
}

export async function claims(room, _, query) {
  const state = STATES.includes(query.get("state")) ? query.get("state") : "all";
  const filter = state === "all" ? "" : `&state=${state}`;
  const body = h("tbody");
  const empty = h("p", { class: "quiet" }, state === "all" ? "No claim yet." : `No claim is ${state}.`);
  const older = h("button", { type: "button", hidden: true }, "Older");
  let next = null;
  let news = false;

  async function first() {
    const page = await get(`/v1/claims?limit=${PAGE}${filter}`);
    body.replaceChildren(...(await Promise.all(page.claims.map(row))));
    settle(page);
  }

  function settle(page) {
    next = page.next;
    older.hidden = next === null;
    empty.hidden = body.children.length > 0;
  }

  older.addEventListener("click", async () => {
    const page = await get(`/v1/claims?limit=${PAGE}${filter}&cursor=${encodeURIComponent(next)}`);
    body.append(...(await Promise.all(page.claims.map(row))));
    settle(page);
  });

  const stop = onChange((change) => {
    const known = body.querySelector(`[data-claim="${change.claim_id}"]`);
    if (known && state === "all") known.querySelector(".chip").replaceWith(chip(change.state));
    // New claims and new batch numbers come with the next look; many changes cost one.
    if (!news) setTimeout(async () => { news = false; await first().catch(() => {}); }, 400);
    news = true;
  });

  room.append(
    h("h1", {}, "Claims"),
    h("p", { class: "lead" }, "Somebody ran a model and says what came out. A claim that nobody can refute in time is final; one that is refuted is invalid."),
    h("div", { class: "tabs", role: "group", "aria-label": "Filter by state" },
      STATES.map((name) => h("a", { href: name === "all" ? "#/" : `#/?state=${name}`, "aria-current": name === state ? "true" : null }, name))),
    h("table", { class: "list" },
      h("thead", {}, h("tr", {}, ["state", "claim", "model", "claimant", "batch", "taken"].map((name) => h("th", { scope: "col" }, name)))),
      body),
    empty, older);
  await first();
  return stop;
}
