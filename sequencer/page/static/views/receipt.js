// Paste a receipt: its hashes are checked here, and nothing that is pasted leaves this page.

import { get } from "../api.js";
import { facts, h, hex, show } from "../dom.js";
import { account, claimLink, modelLink } from "../links.js";
import { bytesOf, checks, hashOf, member, receiptOf } from "../parts/receipt.js";

const MARKS = { right: "✓", wrong: "✗", open: "–" };
const SAID = { right: "holds", wrong: "does not hold", open: "open" };

/** A field for text or a file; `bytes()` gives its exact bytes, null if it is empty. */
function source(name, label, hint) {
  const area = h("textarea", { id: `${name}-text`, rows: name === "receipt" ? 9 : 4, spellcheck: "false", autocomplete: "off" });
  const file = h("input", { type: "file", "aria-label": `${label} as a file` });
  let read = null;
  file.addEventListener("change", async () => {
    read = file.files.length ? new Uint8Array(await file.files[0].arrayBuffer()) : null;
    area.value = read === null ? "" : new TextDecoder().decode(read);
  });
  area.addEventListener("input", () => { read = null; });
  return {
    part: h("div", { class: "field" }, h("label", { for: `${name}-text` }, label), h("p", { class: "quiet" }, hint), area, file),
    bytes: () => read ?? (area.value === "" ? null : bytesOf(area.value)),
    text: () => area.value,
  };
}

async function claimOf(id) {
  try {
    return await get(`/v1/claims/${id}`);
  } catch {
    return null;
  }
}

function said(receipt) {
  const [claim, model, who] = [member(receipt, "claim_id", "claim"), member(receipt, "model_id", "model"), member(receipt, "prover", "claimant", "account")];
  const id = (text, digits) => typeof text === "string" && new RegExp(`^0x[0-9a-fA-F]{${digits}}$`).test(text);
  return facts([
    id(model, 64) ? ["model", modelLink(model, null, 8)] : null,
    id(who, 40) ? ["prover", account(who)] : null,
    id(claim, 64) ? ["claim", claimLink(claim)] : null,
    ["request", hex(hashOf(receipt, "request"), 16)],
    ["response", hex(hashOf(receipt, "response"), 16)],
  ]);
}

export async function view(room) {
  const fields = {
    receipt: source("receipt", "Receipt", "Its JSON, or the whole answer that it came with."),
    request: source("request", "Request, if you have it", "Exactly the bytes that were sent. A file keeps every byte."),
    response: source("response", "Response, if you have it", "Exactly the bytes that came back; of a stream, up to the event with the receipt."),
  };
  const result = h("div", { role: "status" });
  const form = h("form", { class: "stack" }, Object.values(fields).map((field) => field.part), h("button", { class: "action" }, "Check"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const receipt = receiptOf(fields.receipt.text());
      const found = await checks(receipt, { request: fields.request.bytes(), response: fields.response.bytes() }, claimOf);
      show(
        result,
        h("h2", {}, "What holds"),
        h("ul", { class: "checks" }, found.map((check) => h("li", { class: check.state }, h("b", {}, h("span", { "aria-hidden": "true" }, MARKS[check.state]), ` ${check.name}: ${SAID[check.state]}. `), check.words))),
        h("h2", {}, "What the receipt says"),
        said(receipt),
        h("p", { class: "quiet" }, "Its signature, and what L1 says of the claim, are checked without this page by: ", h("code", {}, "touchstone receipt verify FILE")));
    } catch (error) {
      show(result, h("p", { class: "trouble" }, error.message));
    }
  });
  room.append(
    h("h1", {}, "Check a receipt"),
    h("p", { class: "lead" }, "A receipt binds an answer to a claim: the exact bytes of request and response, the model, who answered. Hashes are computed in this browser; what you paste stays here."),
    form,
    result);
}
