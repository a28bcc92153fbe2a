// Elements from data: text stays text, so that nothing which a claim or a model's name contains is ever markup.

const SVG = "http://www.w3.org/2000/svg";

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

/** Replaces what a room shows; nothing stands for an absent part. */
export const show = (room, ...children) => room.replaceChildren(...present(children));

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...present(children));
  return node;
}

export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export const short = (hex, digits = 8) => (hex.length > 2 * digits + 4 ? `${hex.slice(0, digits + 2)}…${hex.slice(-4)}` : hex);

export const number = (value) => Number(value).toLocaleString("en", { maximumFractionDigits: 6 });

export function ether(wei) {
  return `${number(Number(BigInt(wei)) / 1e18)} ether`;
}

export function duration(seconds) {
  const total = Math.max(0, Math.round(seconds));
  if (total < 90) return `${total} s`;
  if (total < 5400) return `${Math.round(total / 60)} min`;
  if (total < 172800) return `${Math.round(total / 3600)} h`;
  return `${Math.round(total / 86400)} days`;
}

const MOMENT = { dateStyle: "medium", timeStyle: "long" };

/** Date, time and zone, as the reader's own clock shows them. */
export const clock = (at) => new Date(at * 1000).toLocaleString("en-GB", MOMENT);

/** A moment; in universal time where one points at it. */
export const when = (at) => at === null ? "–" : h("time", { datetime: new Date(at * 1000).toISOString(), title: new Date(at * 1000).toUTCString() }, clock(at));

/** A value that people copy: shown short, copied whole. */
export function hex(value, digits = 8) {
  return h("button", { type: "button", class: "hex", title: `${value} (copies)`, onclick: (event) => copy(event.currentTarget, value) }, short(value, digits));
}

async function copy(button, value) {
  try {
    await navigator.clipboard.writeText(value);
    button.dataset.copied = "copied";
  } catch {
    button.textContent = value;
  }
  setTimeout(() => delete button.dataset.copied, 1200);
}

export const chip = (state) => h("span", { class: `chip ${state}` }, state);

export function facts(rows) {
  return h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}
