// What contracts ask for.

import { again, get, listing, model } from "../api.js";
import { chip, ether, h, when } from "../dom.js";
import { accountLink, modelLink, requestLink } from "../links.js";
import { tabs } from "../parts/filters.js";
import { pages, row } from "../parts/rows.js";

const STATES = ["all", "open", "noted", "cancelled", "agreed", "answered", "undelivered", "refunded"];
const NOBODY = `0x${"0".repeat(40)}`;

async function draw(entry) {
  const known = await model(entry.model_id);
  return row([
    ["state", 1, chip(entry.state)],
    ["request", 1, requestLink(entry.request_id)],
    ["level", 1, entry.level],
    ["model", 2, modelLink(entry.model_id, known.name)],
    ["requester", 2, accountLink(entry.requester)],
    ["consumer", 2, entry.callback === NOBODY ? "nobody" : accountLink(entry.callback)],
    ["fee", 2, ether(entry.fee)],
    ["until", 2, when(entry.until)],
  ], { "data-request": entry.request_id });
}

export async function view(room, _, query) {
  const state = STATES.includes(query.get("state")) ? query.get("state") : "all";
  const page = async (cursor) => {
    const found = await get(listing("/v1/requests", { limit: 25, state, cursor }));
    return { entries: found.requests, next: found.next };
  };
  const nothing = state === "all" ? "No contract has asked yet." : `No request is ${state}.`;
  const list = pages(["state", "request", "level", "model", "requester", "consumer", "fee", "until"], page, draw, nothing, "Requests, newest first");
  room.append(
    h("h1", {}, "Requests"),
    h("p", { class: "lead" }, "Contracts ask models, and pay whoever answers. They are told an answer once nobody can refute it any more."),
    tabs("#/requests", query, "state", STATES, state, "Filter by state"),
    ...list.parts);
  await list.refresh();
  return again(list.refresh, 3);
}
