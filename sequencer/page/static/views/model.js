// One model: what it is made of, its graph, how close it is to its float model, and its claims.

import { again, at, get } from "../api.js";
import { count, facts, h, hex, number, show, size } from "../dom.js";
import { claimList } from "./claims.js";
import { shape } from "./models.js";

const inside = (name, key) => (name ? `${name}, ${key}` : key).replaceAll("_", " ");

/** A figure of any depth as rows: names joined by commas; of a list of things each by its own name. */
function flat(value, name = "") {
  if (Array.isArray(value) && value.some((one) => typeof one === "object")) return value.flatMap((one, n) => flat(one, inside(name, one?.name ?? String(n))));
  if (Array.isArray(value)) return [[name, value.map(written).join(", ")]];
  if (value !== null && typeof value === "object") return Object.entries(value).filter(([key]) => key !== "name").flatMap(([key, one]) => flat(one, inside(name, key)));
  return [[name, written(value)]];
}

// Digits enough that a cosine of almost 1 is not shown as 1.
const written = (value) => (typeof value === "number" ? String(Number(value.toPrecision(9))) : value === null ? "–" : String(value));

function taken(entry, found) {
  return [
    h("h2", {}, "What it is made of"),
    facts([
      ["registered on L1", found.registered ? "yes" : "not yet"],
      ["audit", found.sound ? "nothing is wrong with its form" : "its form is not sound"],
      ["gas of the dearest proof", found.gas === null ? "–" : `at most ${number(found.gas)}`],
      ["ops of one execution", number(found.ops)],
      ["constants", `${count(found.constants, "tensor")}, ${size(found.constant_bytes)}`],
      ["trace", `${number(found.values)} values, ${size(found.trace_bytes)}`],
      found.formats ? ["formats", found.formats] : null,
    ]),
    found.fidelity ? [h("h2", {}, "How close it is to its float model"), h("p", { class: "quiet" }, "As whoever lowered it measured."), facts(flat(found.fidelity))] : null,
    found.picture ? [h("h2", {}, "Its graph"), h("a", { class: "graph", href: at(`/v1/models/${entry.id}/picture`), target: "_blank", rel: "noopener" }, h("img", { src: at(`/v1/models/${entry.id}/picture`), alt: `The dataflow graph of ${entry.name}, with ${count(found.ops, "op")}; opens as a picture of its own`, loading: "lazy" }))] : null,
  ];
}

export async function view(room, [id]) {
  const entry = await get(`/v1/models/${id}`);
  const parts = h("div", {}, h("p", { class: "quiet" }, "The program is being taken apart …"));
  const list = claimList({ model: entry.id }, "No claim is about it yet.", 10);
  room.append(
    h("h1", {}, entry.name),
    h("p", { class: "lead" }, entry.retired ? "Retired: no new claims about it are taken." : "Claims about it are taken."),
    facts([
      ["model id", hex(entry.id, 16)],
      ["inputs", entry.inputs.map(shape).join(", ")],
      ["outputs", entry.outputs.map(shape).join(", ")],
      ["trace", entry.policy],
      ["program", entry.program ? h("a", { href: at(`/v1/models/${entry.id}/program`), download: "" }, "download") : "not held here"],
    ]),
    parts,
    h("h2", { class: "below" }, "Its claims"),
    ...list.parts,
    h("p", {}, h("a", { href: `#/claims?model=${entry.id}` }, "All of them, with filters"), " · ", h("a", { href: `#/disputes?model=${entry.id}` }, "Disputes about it")));
  await list.refresh();
  let gone = false;
  const look = async () => {
    try {
      const found = await get(`/v1/models/${entry.id}/anatomy`);
      if (!gone) show(parts, taken(entry, found));
    } catch (error) {
      if (gone) return;
      if (error.status === 503) setTimeout(look, 2000);
      else show(parts, h("p", { class: "quiet" }, error.message));
    }
  };
  look();
  const stop = again(list.refresh, 15);
  return () => {
    gone = true;
    stop();
  };
}
