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

// Made once: making one costs more than all that it writes.
const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });

export const number = (value) => NUMBER.format(value);

/** So many things: "1 game", "2 games". */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

const ROUNDED = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

/** A number to look at, not to compute with. */
export const about = (value) => ROUNDED.format(value);

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

const PARTS = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" };
const SHORT = new Intl.DateTimeFormat("en-GB", PARTS);
const LONG = new Intl.DateTimeFormat("en-GB", { ...PARTS, year: "numeric" });
const LATEST = 8.64e12;
const THIS_YEAR = new Date().getFullYear();

/** A moment with its zone; in universal time where one points at it. Seconds beyond what dates can be are "for ever". */
export function when(at) {
  if (at === null || at === undefined) return "–";
  if (at > LATEST) return "for ever";
  const date = new Date(at * 1000);
  return h("time", { datetime: date.toISOString(), title: date.toUTCString() }, (date.getFullYear() === THIS_YEAR ? SHORT : LONG).format(date));
}

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

/** Bytes with a unit. */
export function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${number(Math.round((bytes / 1024 ** power) * 10) / 10)} ${units[power]}`;
}

export function facts(rows) {
  return h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}
