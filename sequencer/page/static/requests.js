// What contracts ask for, and what became of it.

import { get, model, onChange } from "./api.js";
import { chip, ether, facts, h, hex, show, when } from "./dom.js";
import { decoded, drawn } from "./tensors.js";

const STATES = ["all", "open", "noted", "cancelled", "agreed", "answered", "undelivered", "refunded"];
const PAGE = 25;
const NOBODY = `0x${"0".repeat(40)}`;

const WORDS = {
  open: "A claim may answer it.",
  noted: "A claim that answers it holds the fee until it is final or proven false.",
  cancelled: "Only claims that are posted soon still answer it.",
  agreed: "A quorum gave one answer, which is not final yet.",
  answered: "A final claim answered it, and the consumer was told, if it names one.",
  undelivered: "A final claim answered it; nobody took the call that tells it.",
  refunded: "Nobody answered in time: the fee went back.",
};

/** Requests move with L1's blocks and with claims: look again at both. */
function again(draw) {
  const stop = onChange(() => draw().catch(() => {}));
  const timer = setInterval(() => draw().catch(() => {}), 3000);
  return () => {
    stop();
    clearInterval(timer);
  };
}

const consumer = (entry, digits) => (entry.callback === NOBODY ? "nobody" : hex(entry.callback, digits));

async function row(entry) {
  const name = (await model(entry.model_id)).name;
  return h("tr", { "data-request": entry.request_id },
    h("td", { "data-label": "state" }, chip(entry.state)),
    h("td", { "data-label": "level" }, entry.level),
    h("td", { "data-label": "request" }, h("a", { class: "mono", href: `#/requests/${entry.request_id}` }, `${entry.request_id.slice(0, 10)}…${entry.request_id.slice(-4)}`)),
    h("td", { "data-label": "model" }, name ?? hex(entry.model_id, 4)),
    h("td", { "data-label": "consumer" }, consumer(entry, 4)),
    h("td", { "data-label": "fee" }, ether(entry.fee)),
    h("td", { "data-label": "until" }, when(entry.until)));
}

export async function requests(room, _, query) {
  const state = STATES.includes(query.get("state")) ? query.get("state") : "all";
  const filter = state === "all" ? "" : `&state=${state}`;
  const body = h("tbody");
  const empty = h("p", { class: "quiet" }, state === "all" ? "No contract has asked yet." : `No request is ${state}.`);
  const older = h("button", { type: "button", hidden: true }, "Older");
  let next = null;
  let pages = 1;

  async function draw() {
    const rows = [];
    next = null;
    for (let n = 0; n < pages && (n === 0 || next !== null); n++) {
      const page = await get(`/v1/requests?limit=${PAGE}${filter}${next === null ? "" : `&cursor=${encodeURIComponent(next)}`}`);
      rows.push(...(await Promise.all(page.requests.map(row))));
      next = page.next;
    }
    body.replaceChildren(...rows);
    older.hidden = next === null;
    empty.hidden = rows.length > 0;
  }

  older.addEventListener("click", () => {
    pages += 1;
    draw().catch(() => {});
  });
  room.append(
    h("h1", {}, "Requests"),
    h("p", { class: "lead" }, "Contracts ask models, and pay whoever answers. They are told an answer once nobody can refute it any more."),
    h("div", { class: "tabs", role: "group", "aria-label": "Filter by state" }, STATES.map((name) => h("a", { href: name === "all" ? "#/requests" : `#/requests?state=${name}`, "aria-current": name === state ? "true" : null }, name))),
    h("table", { class: "list" }, h("thead", {}, h("tr", {}, ["state", "level", "request", "model", "consumer", "fee", "until"].map((name) => h("th", { scope: "col" }, name)))), body),
    empty,
    older);
  await draw();
  return again(draw);
}

function tensors(title, described, data) {
  const found = data ? decoded(described, data) : null;
  if (found === null) return null;
  return h("section", {}, h("h2", {}, title), found.map((tensor) => h("figure", { class: "tensor" }, h("figcaption", {}, h("b", {}, tensor.name)), drawn(tensor))));
}

export async function request(room, [id]) {
  let last = "";

  async function draw() {
    const entry = await get(`/v1/requests/${id}`);
    if (JSON.stringify(entry) === last) return;
    last = JSON.stringify(entry);
    const known = await model(entry.model_id);
    show(
      room,
      h("h1", {}, "Request ", h("span", { class: "mono" }, `${id.slice(0, 10)}…`)),
      h("p", { class: "lead" }, chip(entry.state), " ", WORDS[entry.state]),
      entry.reason ? h("p", {}, "This sequencer does not answer it: ", entry.reason) : null,
      h("div", { class: "columns" },
        tensors("Input", known.inputs, entry.inputs),
        tensors("Output", known.outputs, entry.outputs)),
      h("section", {}, h("h2", {}, "What was asked"), facts([
        ["model", h("span", {}, known.name ? `${known.name} ` : "", hex(entry.model_id))],
        ["level", entry.level],
        entry.quorum ? ["quorum", `${entry.quorum} equal answers make it agreed`] : null,
        ["fee", ether(entry.fee)],
        ["until", when(entry.until)],
        ["requester", hex(entry.requester)],
        ["consumer", consumer(entry)],
        ["gas of its call", String(entry.gas_limit)],
        entry.prover ? ["reserved to", h("span", {}, hex(entry.prover), " until ", when(entry.prover_until))] : null,
        entry.royalty ? ["author", h("span", {}, hex(entry.author), ` gets ${entry.royalty / 100} %`)] : null,
        entry.subscription_id ? ["subscription", hex(entry.subscription_id)] : null,
        ["request id", hex(id, 16)],
        ["transaction", hex(entry.transaction)],
      ])),
      h("section", {}, h("h2", {}, "What became of it"), facts([
        ["claims", entry.claims.length ? h("span", {}, entry.claims.map((one) => [h("a", { class: "mono", href: `#/claims/${one.claim_id}` }, `${one.claim_id.slice(0, 10)}…`), " ", chip(one.state), " "])) : "none yet"],
        entry.answer ? ["answered by", h("a", { class: "mono", href: `#/claims/${entry.answer}` }, `${entry.answer.slice(0, 10)}…`)] : null,
        entry.claimant ? ["paid", hex(entry.claimant)] : null,
        entry.callback === NOBODY ? null : ["told", entry.told ? "yes" : "not yet"],
        entry.callback_failures ? ["calls that failed", String(entry.callback_failures)] : null,
      ])));
  }

  await draw();
  return again(draw);
}
