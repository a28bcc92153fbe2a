// The tree that a dispute goes down, drawn as rungs: each rung is a node cut into its descendants, the chosen one opens into the
// next rung. Left of the chosen one both sides agree.

import { s } from "../dom.js";

const WIDTH = 680;
const LEFT = 12;
const RIGHT = 668;
const BAR = 20;
const GAP = 62;
const MOST_CELLS = 64;

export const depthOf = (position) => position.toString(2).length - 1;

/** First and last leaf or entry below a node, `depth` levels below the root. */
function below(position, depth) {
  const levels = BigInt(depth - depthOf(position));
  const first = (position << levels) - (1n << BigInt(depth));
  return [first, first + (1n << levels) - 1n];
}

const span = ([first, last], one, many) => (first === last ? `${one} ${first}` : `${many} ${first}–${last}`);

/** What a node stands for, in words. */
export function meaning(position, { traceDepth, tensorDepth }) {
  const depth = depthOf(position);
  if (depth === 0) return "the whole execution";
  if (depth <= traceDepth) return span(below(position, traceDepth), "value", "values");
  const value = (position >> BigInt(depth - traceDepth)) - (1n << BigInt(traceDepth));
  const [first, last] = below(position, traceDepth + tensorDepth);
  const offset = value << BigInt(tensorDepth);
  return `value ${value}, ${span([first - offset, last - offset], "kilobyte", "kilobytes")}`;
}

/** From the root to `target` in steps of at most `arity` levels that stop at no multiple in particular. */
export function between(from, target, arity) {
  const stops = [];
  let depth = depthOf(from);
  const end = depthOf(target);
  while (depth < end) {
    depth = Math.min(depth + arity, end);
    stops.push(target >> BigInt(end - depth));
  }
  return stops;
}

/** The same path with a stop where values end and their kilobytes begin, so that each rung is made of one of them. */
function apart(steps, traceDepth) {
  let from = 1n;
  return steps.flatMap((step) => {
    const [above, below] = [depthOf(from), depthOf(step.to)];
    from = step.to;
    const border = step.to >> BigInt(Math.max(0, below - traceDepth));
    return above < traceDepth && traceDepth < below ? [{ ...step, to: border }, { ...step, note: "" }] : [step];
  });
}

/**
 * `stops`: [{to: BigInt, played: bool, note}] from the root down. Returns an <svg>.
 */
export function tree(stops, layout) {
  const steps = apart(stops, layout.traceDepth);
  const height = steps.length * (BAR + GAP) + 18;
  const words = steps.map((step) => meaning(step.to, layout)).join(", then ");
  const svg = s("svg", { class: "tree", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `The path of the dispute: the whole execution, then ${words}` });
  let from = 1n;
  let top = 26;
  steps.forEach((step, n) => {
    const levels = depthOf(step.to) - depthOf(from);
    const count = 2 ** levels;
    const chosen = Number(step.to - (from << BigInt(levels)));
    const x = (j) => LEFT + ((RIGHT - LEFT) * j) / count;
    const cells = s("g", { class: step.played ? "rung" : "rung implied" });
    if (count <= MOST_CELLS) {
      for (let j = 0; j < count; j++) {
        cells.append(s("rect", { class: j < chosen ? "agreed" : j === chosen ? "chosen" : "open", x: x(j) + 0.6, y: top, width: Math.max(1, x(j + 1) - x(j) - 1.2), height: BAR, rx: 2 }));
      }
    } else {
      cells.append(
        s("rect", { class: "agreed", x: LEFT, y: top, width: Math.max(0, x(chosen) - LEFT), height: BAR, rx: 2 }),
        s("rect", { class: "open", x: x(chosen + 1), y: top, width: Math.max(0, RIGHT - x(chosen + 1)), height: BAR, rx: 2 }),
        s("rect", { class: "chosen", x: x(chosen), y: top, width: Math.max(3, x(chosen + 1) - x(chosen)), height: BAR, rx: 1 }));
    }
    svg.append(
      s("text", { class: "what", x: LEFT, y: top - 8 }, n === 0 ? "the whole execution" : meaning(from, layout)),
      s("text", { class: "how", x: RIGHT, y: top - 8, "text-anchor": "end" }, step.note ?? ""),
      cells);
    const last = n === steps.length - 1;
    const low = top + BAR;
    const [a, b] = last ? [Math.max(LEFT, x(chosen) - 40), Math.min(RIGHT, x(chosen + 1) + 40)] : [LEFT, RIGHT];
    svg.append(s("path", { class: "zoom", d: `M${x(chosen)} ${low} L${x(chosen + 1)} ${low} L${b} ${low + (last ? 22 : GAP - 24)} L${a} ${low + (last ? 22 : GAP - 24)} Z` }));
    if (last) {
      svg.append(s("text", { class: "end", x: Math.min(Math.max((a + b) / 2, 150), WIDTH - 150), y: low + 42, "text-anchor": "middle" }, meaning(step.to, layout)));
    }
    from = step.to;
    top += BAR + GAP;
  });
  return svg;
}
