// A conversation with a served language model: the answer streams, and its claim is followed.

import { at, get, onChange, Problem, told } from "../api.js";
import { chip, h, show } from "../dom.js";
import { claimLink } from "../links.js";
import { events, refusal } from "../parts/stream.js";

const PATIENCE = 2000;

/** Shows how far the claim about an answer is, and goes on until it is at rest or `gone()`. `headers`: as the endpoint was asked. */
function followed(receipt, headers, gone) {
  const place = h("p", { class: "claimed quiet" }, "Promised: its claim is not made yet.");
  let id = null;
  let stop = () => {};

  async function look() {
    if (gone()) return stop();
    if (id === null) {
      const kept = await fetch(at(`${told("playground")}/receipts/${receipt.id}`), { headers }).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
      id = kept?.claims?.[0]?.claim_id ?? null;
    }
    const entry = id === null ? null : await get(`/v1/claims/${id}`).catch(() => null);
    if (entry !== null) show(place, "Claim ", claimLink(id, 4), " ", chip(entry.state));
    if (entry !== null && ["final", "invalid"].includes(entry.state)) stop();
  }

  const timer = setInterval(look, PATIENCE);
  const unhear = onChange((change) => change.claim_id === id && look());
  stop = () => {
    clearInterval(timer);
    unhear();
  };
  look();
  return place;
}

export async function view(room) {
  const path = told("playground");
  if (path === null) throw new Problem("This page was told of no endpoint; --playground of touchstone sequencer names one.");
  const model = h("input", { name: "model", required: true, list: "served", autocomplete: "off" });
  const served = h("datalist", { id: "served" });
  const key = h("input", { name: "key", type: "password", autocomplete: "off", placeholder: "if it asks for one" });
  const heat = h("input", { name: "temperature", type: "number", min: 0, max: 2, step: 0.1, value: 0 });
  const most = h("input", { name: "tokens", type: "number", min: 1, max: 4096, step: 1, value: 64 });
  const text = h("textarea", { id: "words", rows: 3, required: true });
  const send = h("button", { class: "action" }, "Send");
  const cancel = h("button", { type: "button", hidden: true }, "Stop");
  const talk = h("ol", { class: "talk", "aria-live": "polite", "aria-label": "Conversation" });
  const messages = [];
  let gone = false;
  let running = null;
  const headers = () => ({ "content-type": "application/json", ...(key.value ? { authorization: `Bearer ${key.value}` } : {}) });

  const said = (role, words = "") => {
    const place = h("p", {}, words);
    const item = h("li", { class: role }, h("b", {}, role), place);
    talk.append(item);
    return { item, place };
  };

  async function answer() {
    const { item, place } = said("assistant");
    const body = { model: model.value, messages, stream: true, temperature: Number(heat.value), max_tokens: Number(most.value) };
    let words = "";
    try {
      const response = await fetch(at(`${path}/chat/completions`), { method: "POST", headers: headers(), body: JSON.stringify(body), signal: running.signal });
      if (!response.ok) throw new Problem(await refusal(response));
      for await (const event of events(response.body)) {
        if (event.error) throw new Problem(event.error.message);
        words += event.choices?.[0]?.delta?.content ?? "";
        place.textContent = words;
        if (event.touchstone) item.append(followed(event.touchstone, headers(), () => gone));
      }
      messages.push({ role: "assistant", content: words });
    } catch (error) {
      if (!gone) item.append(h("p", { class: "trouble" }, error.name === "AbortError" ? "Stopped." : error instanceof Problem ? error.message : "The endpoint does not answer."));
      messages.pop();
    }
  }

  const form = h("form", { class: "stack" },
    h("div", { class: "filters" }, h("label", {}, "model ", model), h("label", {}, "key ", key), h("label", {}, "temperature ", heat), h("label", {}, "tokens at most ", most)),
    served,
    h("label", { for: "words" }, "What you say"),
    text,
    h("div", {}, send, " ", cancel));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running !== null) return;
    running = new AbortController();
    messages.push({ role: "user", content: text.value });
    said("user", text.value);
    text.value = "";
    [send.disabled, cancel.hidden] = [true, false];
    await answer();
    [send.disabled, cancel.hidden, running] = [false, true, null];
  });
  cancel.addEventListener("click", () => running?.abort());
  room.append(
    h("h1", {}, "Playground"),
    h("p", { class: "lead" }, "Talk to a served model. Every answer is claimed: watch its claim become final."),
    talk,
    form);
  // Who may ask for models is the endpoint's affair: it is asked again with every key.
  async function offer() {
    const offered = await fetch(at(`${path}/models`), { headers: headers() }).then((response) => (response.ok ? response.json() : null)).catch(() => null);
    const names = (offered?.data ?? []).map((entry) => entry.id);
    show(served, ...names.map((name) => h("option", { value: name })));
    model.value ||= names[0] ?? "";
  }
  key.addEventListener("change", offer);
  await offer();
  return () => {
    gone = true;
    running?.abort();
  };
}
