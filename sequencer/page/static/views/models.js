// The models that claims can be about.

import { at, models } from "../api.js";
import { h, hex, show } from "../dom.js";
import { modelLink } from "../links.js";
import { row, table } from "../parts/rows.js";

export const shape = (tensor) => `${tensor.name} ${tensor.dtype}[${tensor.shape.join(", ")}]`;

export async function view(room) {
  const found = await models();
  const rows = found.map((entry) => row([
    ["name", 1, modelLink(entry.id, entry.name)],
    ["id", 1, hex(entry.id, 4)],
    ["program", 1, entry.retired ? "retired" : entry.program ? h("a", { href: at(`/v1/models/${entry.id}/program`), download: "", "aria-label": `program of ${entry.name}` }, "program") : "–"],
    ["inputs", 2, entry.inputs.map(shape).join(", ")],
    ["outputs", 2, entry.outputs.map(shape).join(", ")],
  ]));
  show(
    room,
    h("h1", {}, "Models"),
    h("p", { class: "lead" }, "A model's id is the root of its program: another weight or another op is another model."),
    table(["name", "id", "program", "inputs", "outputs"], h("tbody", {}, rows), "Models"),
    found.length ? null : h("p", { class: "quiet" }, "No model is registered here."));
}
