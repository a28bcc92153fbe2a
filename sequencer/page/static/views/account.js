// One account: its money, its claims, the games that it opened and those about its claims.

import { again, get, model } from "../api.js";
import { chip, ether, facts, h, hex, number, show, when } from "../dom.js";
import { accountLink, disputeLink, modelLink, outside } from "../links.js";
import { row, table } from "../parts/rows.js";
import { claimList } from "./claims.js";

const money = (wei) => (wei === null ? "L1 can't be asked just now" : ether(wei));

async function games(found, other, nothing, caption) {
  if (!found.length) return h("p", { class: "quiet" }, nothing);
  const rows = await Promise.all(found.map(async (game) => row([
    ["state", 1, chip(game.state)],
    ["claim", 1, disputeLink(game.claim_id)],
    ["model", 2, modelLink(game.model_id, (await model(game.model_id)).name)],
    [other, 2, accountLink(game[other])],
    ["opened", 2, when(game.opened_at)],
  ])));
  return table(["state", "claim", "model", other, "opened"], h("tbody", {}, rows), caption);
}

export async function view(room, [id]) {
  const upper = h("div");
  const lower = h("div");
  const list = claimList({ claimant: id }, "It has claimed nothing.", 10);

  async function draw() {
    const entry = await get(`/v1/accounts/${id}`);
    const counts = Object.entries(entry.claims).filter(([, count]) => count);
    show(
      upper,
      facts([
        ["address", h("span", {}, hex(entry.account, 40), outside("address", entry.account))],
        ["free balance", money(entry.free)],
        ["locked in bonds", money(entry.locked)],
        ["earnings", money(entry.earned)],
        ["claims", counts.length ? h("span", { class: "counts" }, counts.map(([state, count]) => h("a", { href: `#/claims?state=${state}&claimant=${entry.account}` }, `${number(count)} ${state}`))) : "none"],
      ]));
    show(
      lower,
      h("h2", {}, "Games that it opened"),
      await games(entry.challenges, "claimant", "It has challenged nothing.", "Games that it opened"),
      h("h2", {}, "Games about its claims"),
      await games(entry.challenged, "challenger", "None of its claims was challenged.", "Games about its claims"));
  }

  room.append(h("h1", {}, "Account ", h("span", { class: "mono" }, `${id.slice(0, 10)}…`)), upper, h("h2", { class: "below" }, "Its claims"), ...list.parts, lower);
  const all = () => Promise.all([draw(), list.refresh()]);
  await all();
  return again(all, 10);
}
