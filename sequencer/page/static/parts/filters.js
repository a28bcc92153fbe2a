// Which entries of a listing are shown: the address after # says it, so that it can be sent to somebody.

import { listing, models } from "../api.js";
import { h } from "../dom.js";

const FIELDS = ["model", "claimant"];

/** Tabs for one part of the query. */
export function tabs(path, query, name, choices, chosen, label) {
  const kept = Object.fromEntries(FIELDS.map((field) => [field, query.get(field)]));
  return h("div", { class: "tabs", role: "group", "aria-label": label }, choices.map((choice) =>
    h("a", { href: listing(path, { ...kept, [name]: choice }).replace(/\?$/, ""), "aria-current": choice === chosen ? "true" : null }, choice)));
}

/** A form for a model and a claimant; `kept`: the rest of the query. */
export async function filters(path, query, kept = {}) {
  const offered = await models();
  const wanted = query.get("model") ?? "";
  const choices = [["", "all"], ...offered.map((entry) => [entry.id, entry.name])];
  if (wanted && !offered.some((entry) => entry.id === wanted)) choices.push([wanted, wanted]);
  const model = h("select", { name: "model" }, choices.map(([value, text]) => h("option", { value, selected: value === wanted }, text)));
  const claimant = h("input", { name: "claimant", value: query.get("claimant") ?? "", placeholder: "0x…", spellcheck: "false", autocomplete: "off", pattern: "0x[0-9a-fA-F]{40}" });
  const form = h("form", { class: "filters" }, h("label", {}, "model ", model), h("label", {}, "claimant ", claimant), h("button", {}, "Show"));
  const go = () => {
    location.hash = listing(path, { ...kept, model: model.value, claimant: claimant.value.trim() }).replace(/\?$/, "");
  };
  model.addEventListener("change", go);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
  return form;
}
