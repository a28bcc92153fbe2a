// Small charts: a bar for each bucket, nothing where nothing is known.

import { h, s } from "../dom.js";

const WIDTH = 240;
const HEIGHT = 56;

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const ZONED = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZoneName: "short" });

/** One path for all bars, so that a front with many costs little. */
function bars(values, most) {
  const step = WIDTH / values.length;
  return values.map((value, n) => {
    if (value === null) return "";
    const tall = most ? Math.max(value ? 1.5 : 0, (value / most) * (HEIGHT - 4)) : 0;
    return `M${(n * step + 0.4).toFixed(1)} ${HEIGHT}v${(-tall).toFixed(1)}h${(step - 0.8).toFixed(1)}v${tall.toFixed(1)}z`;
  }).join("");
}

/** `buckets`: [{at, value (null: unknown)}]; `width`: seconds of one; `written`: a value in words; `name`: what is shown. */
export function chart({ buckets, width, written, name }) {
  const values = buckets.map((bucket) => bucket.value);
  const known = values.filter((value) => value !== null);
  const most = Math.max(...known, 0);
  const [from, to] = [CLOCK.format(buckets[0].at * 1000), ZONED.format((buckets.at(-1).at + width) * 1000)];
  const summary = known.length ? `highest ${written(most)}, latest ${written(known.at(-1))}` : "nothing yet";
  return h("div", { class: "chart" },
    s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${name}, ${from} to ${to}: ${summary}` }, s("path", { d: bars(values, most) })),
    h("div", { class: "axis", "aria-hidden": "true" }, h("span", {}, from), h("span", {}, known.length ? `most ${written(most)}` : ""), h("span", {}, to)));
}
