// Paste a receipt: its hashes are checked here, and nothing that is pasted leaves this page.

import { at, get, told } from "../api.js";
import { facts, h, hex, show, when } from "../dom.js";
import { account, claimLink, modelLink } from "../links.js";
import { checks, opened } from "../parts/receipt.js";

const MARKS = { right: "✓", wrong: "✗", open: "–" };
const SAID = { right: "holds", wrong: "does not hold", open: "open" };

/** A field for text or a file; `bytes()` gives its exact bytes, null if it is empty. */
function source(name, label, hint, rows) {
  const area = h("textarea", { id: `${name}-text`, rows, spellcheck: "false", autocomplete: "off" });
  const file = h("input", { type: "file", "aria-label": `${label} as a file` });
  let read = null;
  file.addEventListener("change", async () => {
    read = file.files.length ? new Uint8Array(await file.files[0].arrayBuffer()) : null;
    area.value = read === null ? "" : new TextDecoder().decode(read);
  });
  area.addEventListener("input", () => { read = null; });
  return {
    part: h("div", { class: "field" }, h("label", { for: `${name}-text` }, label), h("p", { class: "quiet" }, hint), area, file),
    bytes: () => read ?? (area.value === "" ? null : new TextEncoder().encode(area.value)),
    text: () => area.value,
  };
}

/** Claims by the number of their answer, as far as somebody here knows them. */
async function claimsOf({ receipt, claims }) {
  const path = told("playground");
  const kept = claims !== null || path === null ? null : await fetch(at(`${path}/receipts/${receipt.id}`)).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
  const known = claims ?? kept?.claims ?? [];
  const entries = await Promise.all(known.map((one) => (one.claim_id ? get(`/v1/claims/${one.claim_id}`).catch(() => null) : null)));
  return new Map(known.map((one, n) => [one.index, entries[n]]));
}

function said(receipt, entries) {
  const found = [...entries.values()].filter(Boolean);
  return facts([
    ["receipt", hex(receipt.id, 16)],
    ["endpoint", receipt.endpoint],
    ["model", modelLink(receipt.model_id, null, 8)],
    ["prover", account(receipt.prover)],
    ["claims", found.length ? found.map((entry) => [claimLink(entry.claim_id, 4), " "]) : "not known here yet"],
    ["chain", String(receipt.chain_id)],
    ["contract", account(receipt.contract)],
    ["signed", when(receipt.created)],
    ["on L1 by", when(receipt.posted_by)],
    ["temperature", String(receipt.temperature_millionths / 1e6)],
  ]);
}

export async function view(room) {
  const fields = {
    receipt: source("receipt", "Receipt", "Its JSON, a receipt file, or the whole answer or stream as it was sent.", 9),
    request: source("request", "Request, if you have it", "Exactly the bytes that were sent. A file keeps every byte.", 4),
    response: source("response", "Response, if you have it", "Its bytes without the receipt; of a stream, all that came before the event with it.", 4),
  };
  const result = h("div", { role: "status" });
  const form = h("form", { class: "stack" }, Object.values(fields).map((field) => field.part), h("button", { class: "action" }, "Check"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const pasted = opened(fields.receipt.text().trim());
      const entries = await claimsOf(pasted);
      const found = await checks(pasted.receipt, fields.request.bytes() ?? pasted.request, fields.response.bytes() ?? pasted.response, async (index) => entries.get(index) ?? null);
      show(
        result,
        h("h2", {}, "What holds"),
        h("ul", { class: "checks" }, found.map((check) => h("li", { class: check.state }, h("b", {}, h("span", { "aria-hidden": "true" }, MARKS[check.state]), ` ${check.name}: ${SAID[check.state]}. `), check.words))),
        h("h2", {}, "What the receipt says"),
        said(pasted.receipt, entries),
        h("p", { class: "quiet" }, "Its signature, the words' tokens, and what L1 says of the claims are checked without this page by: ", h("code", {}, "touchstone receipt verify FILE")));
    } catch (error) {
      show(result, h("p", { class: "trouble" }, error.message));
    }
  });
  room.append(
    h("h1", {}, "Check a receipt"),
    h("p", { class: "lead" }, "A receipt binds an answer to its claims: the exact bytes of request and response, the model, the seed, who answered. Hashes are computed in this browser; what you paste stays here."),
    form,
    result);
}
