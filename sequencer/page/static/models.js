// The models that claims can be about.

import { get } from "./api.js";
import { h, hex, show } from "./dom.js";

const shape = (tensor) => `${tensor.name} ${tensor.dtype}[${tensor.shape.join(", ")}]`;

export async function models(room) {
  const { models: found } = await get("/v1/models");
  show(
    room,
    h("h1", {}, "Models"),
    h("p", { class: "lead" }, "A model's id is the root of its program: another weight or another op is another model."),
    h("table", { class: "list" },
      h("thead", {}, h("tr", {}, ["name", "id", "inputs", "outputs", ""].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, found.map((entry) => h("tr", {},
        h("td", { "data-label": "name" }, entry.name ?? "–"),
        h("td", { "data-label": "id" }, hex(entry.id)),
        h("td", { "data-label": "inputs" }, entry.inputs.map(shape).join(", ")),
        h("td", { "data-label": "outputs" }, entry.outputs.map(shape).join(", ")),
        h("td", {}, entry.retired ? "retired" : h("a", { href: `/v1/models/${entry.id}/program`, download: "" }, "program")))))),
    found.length ? null : h("p", { class: "quiet" }, "No model is registered here."));
}
