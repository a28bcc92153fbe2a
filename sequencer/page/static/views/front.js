// The front: figures of the last hour or day, and the newest claims.

import { again, get } from "../api.js";
import { about, count, duration, ether, h, number, show, when } from "../dom.js";
import { outside } from "../links.js";
import { chart } from "../parts/chart.js";
import { COLUMNS, claimRow } from "../parts/claims.js";
import { table } from "../parts/rows.js";

const NEWEST = 6;

const tile = (name, value, note, drawn = null) => h("section", { class: "tile" }, h("h2", {}, name), h("p", { class: "figure" }, value), h("p", { class: "note" }, note), drawn);

const sum = (found, field) => found.buckets.reduce((total, bucket) => total + bucket[field], 0);

function series(found, field, written, name, scale = 1) {
  const buckets = found.buckets.map((bucket) => ({ at: bucket.at, value: bucket[field] === null ? null : bucket[field] * scale }));
  return chart({ buckets, width: found.width, written, name });
}

/** The mean time to finality of the span, by the claims that became final in each bucket. */
function finality(found) {
  const ended = found.buckets.filter((bucket) => bucket.finality !== null);
  const weight = ended.reduce((total, bucket) => total + (bucket.final || 1), 0);
  return ended.length ? ended.reduce((total, bucket) => total + bucket.finality * (bucket.final || 1), 0) / weight : null;
}

function tiles(found) {
  const minutes = found.width / 60;
  const taken = sum(found, "taken");
  const mean = finality(found);
  const { batcher, head } = found;
  const each = (value) => `${about(value)}/min`;
  const bond = found.claims.posted + found.claims.challenged;
  const stake = bond ? Number(BigInt(found.bonds)) / 1e18 / bond : 0;
  return [
    tile("Claims a minute", about(taken / (found.buckets.length * minutes)), `${number(taken)} handed in, ${number(sum(found, "posted"))} posted, ${number(sum(found, "final"))} final in the last ${found.span}`, series(found, "taken", each, "Claims handed in", 1 / minutes)),
    tile("Time to finality", mean === null ? "–" : duration(mean), mean === null ? `no claim became final in the last ${found.span}` : "from being posted to being final, on average", series(found, "finality", duration, "Time to finality")),
    tile("Bonds at stake", ether(found.bonds), `${count(bond, "claim")} and ${count(found.games, "open game")}`, series(found, "staked", (value) => `${about(value)} ether`, "Bonds at stake", stake)),
    tile("False claims caught", number(found.refuted), `${number(sum(found, "false"))} in the last ${found.span}; ${found.burned === null ? "L1 can't be asked what burned" : `${ether(found.burned)} burned in all`}`, series(found, "false", (value) => number(value), "False claims caught")),
    tile("Watchers seen", number(found.watchers), `${found.watchers === 1 ? "account" : "accounts"} that challenged in the last ${found.span}`),
    tile("Behind L1", head === null ? "–" : duration(head.lag), head === null ? "no block is known yet" : [`at block ${number(head.block)}`, outside("block", head.block)]),
    tile("Batcher", h("span", { class: `doing ${batcher.state}` }, batcher.state), [batcher.problem ?? `${count(batcher.waiting, "claim")} ${batcher.waiting === 1 ? "waits" : "wait"}${batcher.last === null ? "; no batch yet" : ""}`, batcher.last === null ? null : [", last batch ", when(batcher.last)], batcher.intake === "paused" ? "; no new claims are taken" : ""]),
  ];
}

export async function view(room, _, query) {
  const span = query.get("span") === "day" ? "day" : "hour";
  const figures = h("div", { class: "tiles" });
  const body = h("tbody");
  const empty = h("p", { class: "quiet" }, "No claim yet.");

  async function draw() {
    const [found, page] = await Promise.all([get(`/v1/overview?span=${span}`), get(`/v1/claims?limit=${NEWEST}`)]);
    const rows = await Promise.all(page.claims.map(claimRow));
    show(figures, tiles(found));
    body.replaceChildren(...rows);
    empty.hidden = rows.length > 0;
  }

  room.append(
    h("h1", {}, "What models said, and whether it holds"),
    h("p", { class: "lead" }, "Somebody runs a model and claims what came out. A claim that nobody can refute in time is final; one that is refuted costs its claimant a bond."),
    h("div", { class: "tabs", role: "group", "aria-label": "Span of the figures" }, ["hour", "day"].map((name) => h("a", { href: name === "hour" ? "#/" : "#/?span=day", "aria-current": name === span ? "true" : null }, `last ${name}`))),
    figures,
    h("h2", { class: "below" }, "Newest claims"),
    table(COLUMNS, body, "Newest claims"),
    empty,
    h("p", {}, h("a", { href: "#/claims" }, "All claims")));
  await draw();
  return again(draw, 5);
}
