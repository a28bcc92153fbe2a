// One request: what a contract asked, and what became of it.

import { again, get, model } from "../api.js";
import { chip, ether, facts, h, hex, show, when } from "../dom.js";
import { account, modelLink, transaction } from "../links.js";
import { decoded, drawn } from "../parts/tensors.js";

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

const consumer = (entry) => (entry.callback === NOBODY ? "nobody" : account(entry.callback));

function tensors(title, described, data) {
  const found = data ? decoded(described, data) : null;
  if (found === null) return null;
  return h("section", {}, h("h2", {}, title), found.map((tensor) => h("figure", { class: "tensor" }, h("figcaption", {}, h("b", {}, tensor.name)), drawn(tensor))));
}

export async function view(room, [id]) {
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
        ["model", h("span", {}, modelLink(entry.model_id, known.name), " ", known.name ? hex(entry.model_id) : null)],
        ["level", entry.level],
        entry.quorum ? ["quorum", `${entry.quorum} equal answers make it agreed`] : null,
        ["fee", ether(entry.fee)],
        ["until", when(entry.until)],
        ["requester", account(entry.requester)],
        ["consumer", consumer(entry)],
        ["gas of its call", String(entry.gas_limit)],
        entry.prover ? ["reserved to", h("span", {}, account(entry.prover), " until ", when(entry.prover_until))] : null,
        entry.royalty ? ["author", h("span", {}, account(entry.author), ` gets ${entry.royalty / 100} %`)] : null,
        entry.subscription_id ? ["subscription", hex(entry.subscription_id)] : null,
        ["request id", hex(id, 16)],
        ["transaction", transaction(entry.transaction)],
      ])),
      h("section", {}, h("h2", {}, "What became of it"), facts([
        ["claims", entry.claims.length ? h("span", {}, entry.claims.map((one) => [h("a", { class: "mono", href: `#/claims/${one.claim_id}` }, `${one.claim_id.slice(0, 10)}…`), " ", chip(one.state), " "])) : "none yet"],
        entry.answer ? ["answered by", h("a", { class: "mono", href: `#/claims/${entry.answer}` }, `${entry.answer.slice(0, 10)}…`)] : null,
        entry.claimant ? ["paid", account(entry.claimant)] : null,
        entry.callback === NOBODY ? null : ["told", entry.told ? "yes" : "not yet"],
        entry.callback_failures ? ["calls that failed", String(entry.callback_failures)] : null,
      ])));
  }

  await draw();
  return again(draw, 3);
}
