// The live list of claims, newest first.

import { again, get, listing } from "../api.js";
import { h } from "../dom.js";
import { COLUMNS, claimRow } from "../parts/claims.js";
import { filters, tabs } from "../parts/filters.js";
import { pages } from "../parts/rows.js";

const STATES = ["all", "pending", "posted", "challenged", "final", "invalid"];
const PAGE = 25;

/** Claims of a model, an account, a state; `query` as the API takes it. */
export function claimList(query, nothing, size = PAGE) {
  const page = async (cursor) => {
    const found = await get(listing("/v1/claims", { limit: size, ...query, cursor }));
    return { entries: found.claims, next: found.next };
  };
  return pages(COLUMNS, page, claimRow, nothing, "Claims, newest first");
}

export async function view(room, _, query) {
  const state = STATES.includes(query.get("state")) ? query.get("state") : "all";
  const [model, claimant] = [query.get("model"), query.get("claimant")];
  const nothing = model || claimant ? "No such claim." : state === "all" ? "No claim yet." : `No claim is ${state}.`;
  const list = claimList({ state, model, claimant }, nothing);
  room.append(
    h("h1", {}, "Claims"),
    h("p", { class: "lead" }, "Somebody ran a model and says what came out. A claim that nobody can refute in time is final; one that is refuted is invalid."),
    tabs("#/claims", query, "state", STATES, state, "Filter by state"),
    await filters("#/claims", query, { state }),
    ...list.parts);
  await list.refresh();
  return again(list.refresh, 15);
}
