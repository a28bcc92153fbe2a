// One claim: how final it is, what it says, and the proof that a contract accepts.

import { again, get, model } from "../api.js";
import { chip, duration, facts, h, hex, number, show, when } from "../dom.js";
import { account, batchLink, modelLink, requestLink, transaction } from "../links.js";
import { decoded, drawn } from "../parts/tensors.js";

const WORDS = {
  pending: "Taken by the sequencer, not on L1 yet.",
  posted: "On L1 with its bond. Anyone can still challenge it.",
  challenged: "A dispute about it is open.",
  final: "Accepted for good: nobody refuted it in time.",
  invalid: "Refused for good.",
};

function steps(entry) {
  const last = entry.state === "invalid" ? "invalid" : "final";
  const names = entry.disputed || entry.state === "challenged" ? ["pending", "posted", "challenged", last] : ["pending", "posted", last];
  const at = names.indexOf(entry.state);
  return h("ol", { class: "steps", "aria-label": "How far the claim is" },
    names.map((name, n) => h("li", { class: `${n < at ? "done" : ""} ${n === at ? `now ${name}` : ""}`, "aria-current": n === at ? "step" : null }, name)));
}

/** When it is final: challenge periods run on a clock that stops whenever a claim is challenged for the first time. */
function outlook(entry) {
  if (!["posted", "challenged"].includes(entry.state) || entry.final_after === null) return null;
  const left = entry.final_after - Date.now() / 1000;
  const count = entry.open_disputes;
  const played = count === 0 ? "no dispute is being played" : count === 1 ? "1 dispute is being played" : `${count} disputes are being played`;
  const when = entry.state === "challenged" ? "Final once its games are won" : left > 0 ? `Final in ${duration(left)}` : "Final any moment now";
  return h("p", { class: "outlook" }, `${when}; ${played}. `, h("span", { class: "quiet" }, "Each claim that is challenged for the first time stops the clock for a while, so this can move."));
}

/** What rounding to the outputs' formats may have cut; nothing where no element lies at an end of its format. */
function cut(count) {
  if (!count) return null;
  const what = count === 1 ? "1 element of the output lies at an end of its format" : `${number(count)} elements of the output lie at an end of their format`;
  return h("p", {}, `${what}: the real ${count === 1 ? "value" : "values"} may lie beyond. `, h("span", { class: "quiet" }, "The program computed this; the model that it stands for may have meant more."));
}

function tensors(title, described, data) {
  const found = decoded(described, data);
  if (found === null) return null;
  return h("section", {}, h("h2", {}, title), found.map((tensor) => h("figure", { class: "tensor" },
    h("figcaption", {}, h("b", {}, tensor.name), ` ${tensor.dtype} [${tensor.shape.join(", ")}]`, tensor.scale ? ` · steps of 2^-${tensor.scale}` : ""),
    drawn(tensor))));
}

export async function view(room, [id]) {
  async function draw() {
    const entry = await get(`/v1/claims/${id}`);
    const known = await model(entry.claim.model_id);
    show(
      room,
      h("h1", {}, "Claim ", h("span", { class: "mono" }, `${id.slice(0, 10)}…`)),
      h("p", { class: "lead" }, chip(entry.state), " ", WORDS[entry.state], entry.reason ? ` ${entry.reason}` : ""),
      outlook(entry),
      steps(entry),
      entry.disputed ? h("p", {}, h("a", { class: "action", href: `#/disputes/${id}` }, "See the dispute")) : null,
      h("div", { class: "columns" },
        tensors("Input", known.inputs, entry.inputs),
        tensors("Output", known.outputs, entry.outputs)),
      cut(entry.saturated),
      h("section", {}, h("h2", {}, "What was signed"), facts([
        ["model", h("span", {}, modelLink(entry.claim.model_id, known.name), " ", known.name ? hex(entry.claim.model_id) : null)],
        ["claimant", account(entry.claim.claimant)],
        ["claim id", hex(entry.claim_id, 16)],
        /^0x0*$/.test(entry.claim.request_id) ? null : ["answers request", requestLink(entry.claim.request_id)],
        ["nonce", hex(entry.claim.nonce)],
        ["valid until", when(entry.claim.valid_until)],
        ["input root", hex(entry.claim.input_root)],
        ["output root", hex(entry.claim.output_root)],
        ["trace root", hex(entry.claim.trace_root)],
        ["taken", when(entry.taken_at)],
      ])),
      entry.batch ? h("section", {}, h("h2", {}, "On L1"), facts([
        ["batch", batchLink(entry.batch.number)],
        ["posted", when(entry.batch.posted_at)],
        entry.final_after === null ? null : ["final after", when(entry.final_after)],
        ["transaction", entry.batch.transaction ? transaction(entry.batch.transaction) : null],
        ["batch root", hex(entry.batch.root)],
        entry.inclusion ? ["proof", h("span", {}, `index ${entry.inclusion.index}, `, entry.inclusion.siblings.length ? entry.inclusion.siblings.map((node) => hex(node, 4)) : "no siblings: the batch has one claim")] : null,
      ])) : null);
    return entry;
  }

  let entry = await draw();
  // The end of the challenge period comes nearer, and moves while others are challenged.
  const look = async () => {
    if (["pending", "posted", "challenged"].includes(entry.state)) entry = await draw();
  };
  return again(look, 2, (change) => change.claim_id === id);
}
