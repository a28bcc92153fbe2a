// A claim's bytes as numbers, and as something to look at: small images as pixels, vectors as bars.

import { h, number, s } from "../dom.js";

const READ = { i8: ["getInt8", 1], i16: ["getInt16", 2], i32: ["getInt32", 4], i64: ["getBigInt64", 8] };
const SHOWN = 64;

/** The tensors behind concatenated bytes, or null where they are not the model's (uploaded before, or too long to show). */
export function decoded(described, hex) {
  const bytes = Uint8Array.from((hex ?? "0x").slice(2).match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const view = new DataView(bytes.buffer);
  const found = [];
  let at = 0;
  for (const tensor of described) {
    const [read, size] = READ[tensor.integer ?? tensor.dtype] ?? [];
    const count = tensor.shape.reduce((product, n) => product * n, 1);
    if (!read || at + count * size > bytes.length) return null;
    const values = Array.from({ length: count }, (_, n) => Number(view[read](at + n * size, true)) / 2 ** (tensor.scale ?? 0));
    found.push({ ...tensor, values });
    at += count * size;
  }
  return at === bytes.length && found.length ? found : null;
}

/** Height and width of a picture, if the shape is one: two dimensions of 4 to 64 that are not 1. */
function picture(shape) {
  const sides = shape.filter((n) => n !== 1);
  return sides.length === 2 && sides.every((n) => n >= 4 && n <= SHOWN) ? sides : null;
}

export function drawn(tensor) {
  const sides = picture(tensor.shape);
  if (sides) return pixels(tensor, sides);
  if (tensor.values.length <= SHOWN) return bars(tensor);
  return h("p", { class: "mono quiet" }, tensor.values.slice(0, 16).map(number).join(", "), ` … ${tensor.values.length} values`);
}

function pixels({ name, values }, [rows, columns]) {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  return s("svg", { class: "pixels", viewBox: `0 0 ${columns} ${rows}`, role: "img", "aria-label": `${name} as an image of ${columns} by ${rows}` },
    values.map((value, n) => s("rect", { x: n % columns, y: Math.floor(n / columns), width: 1.02, height: 1.02, "fill-opacity": ((value - low) / span).toFixed(3) })));
}

function bars({ name, values }) {
  const largest = Math.max(...values.map(Math.abs)) || 1;
  const best = values.indexOf(Math.max(...values));
  return h("ol", { class: "bars", start: 0, "aria-label": name }, values.map((value, n) =>
    h("li", { class: n === best && values.length > 1 ? "best" : null },
      h("span", { class: "index" }, String(n)),
      s("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { width: ((100 * Math.abs(value)) / largest).toFixed(2), height: 6, class: value < 0 ? "negative" : null })),
      h("span", { class: "mono" }, number(value)))));
}
