// The list of disputes: when, what model, who, how much.

import { again, get, listing, model } from "../api.js";
import { chip, ether, h, when } from "../dom.js";
import { accountLink, disputeLink, modelLink } from "../links.js";
import { filters, tabs } from "../parts/filters.js";
import { pages, row } from "../parts/rows.js";
import { RULES } from "../parts/rules.js";

const STATES = ["all", "open", "ended"];

/** Everybody who challenged, each once. */
function challengers(games) {
  const found = [...new Set(games.map((game) => game.challenger))];
  return found.length ? [accountLink(found[0]), found.length > 1 ? ` +${found.length - 1}` : ""] : "–";
}

async function draw(entry) {
  const known = entry.model_id === null ? null : await model(entry.model_id);
  return row([
    ["state", 1, chip(entry.state)],
    ["claim", 1, disputeLink(entry.claim_id, 4)],
    ["challenger", 1, challengers(entry.games)],
    ["model", 2, known ? modelLink(known.id, known.name) : "–"],
    ["claimant", 2, entry.claimant ? accountLink(entry.claimant) : "–"],
    ["bonds", 2, ether(entry.bonds)],
    ["challenged", 2, when(entry.opened_at)],
    ["verdict", 3, entry.verdict ? RULES[entry.verdict.rule] ?? entry.verdict.rule : "–"],
  ], { "data-dispute": entry.claim_id });
}

export async function view(room, _, query) {
  const state = STATES.includes(query.get("state")) ? query.get("state") : "all";
  const open = { open: "true", ended: "false" }[state];
  const page = async (cursor) => {
    const found = await get(listing("/v1/disputes", { limit: 25, open, model: query.get("model"), claimant: query.get("claimant"), cursor }));
    return { entries: found.disputes, next: found.next };
  };
  const nothing = state === "all" && !query.get("model") && !query.get("claimant") ? "Nobody has challenged anything yet." : "No such dispute.";
  const list = pages(["state", "claim", "challenger", "model", "claimant", "bonds", "challenged", "verdict"], page, draw, nothing, "Disputes, newest claim first");
  room.append(
    h("h1", {}, "Disputes"),
    h("p", { class: "lead" }, "Whoever finds a claim false challenges it. The game narrows the difference to one kilobyte, and a contract computes one element there."),
    tabs("#/disputes", query, "state", STATES, state, "Filter by state"),
    await filters("#/disputes", query, { state }),
    ...list.parts);
  await list.refresh();
  return again(list.refresh, 10);
}
