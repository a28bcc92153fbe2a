// One dispute: the path that a game took down the tree, both clocks, the gas, and the verdict in words.

import { again, get, model } from "../api.js";
import { chip, duration, ether, facts, h, hex, number, show, when } from "../dom.js";
import { account, accountLink, modelLink, outside, transaction } from "../links.js";
import { RULES } from "../parts/rules.js";
import { between, depthOf, meaning, tree } from "../parts/tree.js";

const MOVES = {
  challenge: "challenges and locks its bond",
  commit: "commits to the place that it will prove",
  set_trace_root: "gives the root of its trace",
  reveal: "opens the node in dispute",
  reveal_leaf: "opens the leaf: its kilobyte",
  select: "goes down to the first difference",
  descend: "goes inside one element of a long reduction",
  partials: "says what the parts of the reduction come to",
  narrow: "disputes one of these partial results",
  settle: "proves one part, or the op's code: the claim is invalid",
  prove: "proves one element: the claim is invalid",
  timeout: "collects a clock that ran out",
  reclaim: "takes its bond back",
};

/** What is asked inside an element. */
function asked(question) {
  const parts = question.first === question.last ? `part ${number(question.first)}` : `parts ${number(question.first)}–${number(question.last)}`;
  const said = question.value === null ? "" : `, claimed as ${question.value}${question.monoid.startsWith("arg") ? ` at position ${question.position}` : ""}`;
  return `element ${question.element}, ${question.monoid} of ${parts} of ${number(question.parts)}${said}`;
}

/** The path of a game as far as it is known: what was selected, then where it was proven. */
function steps(entry, game) {
  const layout = { traceDepth: entry.trace_depth, tensorDepth: entry.tensor_depth };
  const found = [];
  let at = 1n;
  for (const move of game.moves.filter((move) => move.kind === "select" && move.position)) {
    at = BigInt(move.position);
    found.push({ to: at, played: true, note: `selected, ${number(move.gas)} gas` });
  }
  const deeper = game.moves.find((move) => move.kind === "descend");
  if (deeper && depthOf(BigInt(deeper.position)) > depthOf(at)) {
    for (const stop of between(at, BigInt(deeper.position), entry.arity)) found.push({ to: stop, played: false, note: "named without being played" });
    at = BigInt(deeper.position);
  }
  const place = entry.verdict?.place && game.state === "convicted" ? BigInt(entry.verdict.place) : null;
  if (place !== null && depthOf(place) > depthOf(at)) {
    for (const stop of between(at, place, entry.arity)) found.push({ to: stop, played: false, note: "proven without being played" });
  }
  return { layout, found };
}

function verdict(entry) {
  const found = entry.verdict;
  if (!found) return h("div", { class: "verdict challenged" }, h("p", {}, "No verdict yet."));
  return h("div", { class: "verdict invalid" },
    h("p", {}, h("b", {}, `Invalid: ${RULES[found.rule] ?? found.rule}.`)),
    h("p", {}, found.sentence),
    h("dl", { class: "compare" }, [["op", found.op], ["source", found.source], ["element", found.coordinates?.length ? `[${found.coordinates.join(", ")}]` : null], ["part", found.part === null ? null : number(found.part)], ["claimed", found.claimed], ["right", found.right]]
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])));
}

function clocks(entry, game) {
  return h("div", { class: "clocks" }, ["challenger", "defender"].map((side) => {
    const left = Math.max(0, game.clocks?.[side] ?? 0);
    return h("div", { class: "clock" },
      h("b", {}, h("span", { class: game.turn === side ? "turn" : null }, side, game.turn === side ? " · to move" : ""), h("span", {}, game.clocks ? `${duration(left)} left` : "over")),
      game.clocks ? h("meter", { min: 0, max: entry.clock, low: entry.clock / 4, value: left, "aria-label": `${side}'s clock` }) : null,
      h("small", { class: "quiet" }, `${number(game.gas[side])} gas so far`));
  }));
}

function moves(game, layout) {
  return h("ol", { class: "moves" }, game.moves.map((move) => h("li", { class: `${move.side ?? ""} ${move.kind}` },
    h("b", {}, move.side ?? "anyone"), ` ${MOVES[move.kind] ?? move.kind}`,
    move.question ? `: ${asked(move.question)}` : move.position && BigInt(move.position) > 1n ? `: ${meaning(BigInt(move.position), layout)}` : "",
    move.results ? h("span", { class: "quiet" }, ` (${move.results.length} partial results)`) : "",
    h("br"), h("small", {}, when(move.at), ` · block ${move.block}`, outside("block", move.block), ` · ${move.gas ? `${number(move.gas)} gas · ` : ""}`, transaction(move.transaction, 4)))));
}

/** What was found at the end of the path. */
function end(entry, game) {
  const found = game.state === "convicted" ? entry.verdict : null;
  if (!["step", "epilogue"].includes(found?.rule) || !found.coordinates) return inside(entry, game);
  return h("p", { class: "found" }, `There, element [${found.coordinates.join(", ")}] is claimed as ${found.claimed} and is ${found.right}.`);
}

/** How far a game went inside an element: the questions, each below the one before. */
function inside(entry, game) {
  const questions = game.moves.filter((move) => move.kind === "descend" || move.kind === "narrow");
  if (!questions.length) return null;
  const found = game.state === "convicted" ? entry.verdict : null;
  return h("ol", { class: "inside" },
    questions.map((move) => h("li", {}, asked(move.question), h("progress", { max: move.question.parts, value: move.question.last - move.question.first + 1, "aria-label": "share of the reduction that is still in question" }))),
    found?.rule === "part" ? h("li", { class: "found" }, `part ${number(found.part)}: claimed as ${found.claimed}, it comes to ${found.right}`) : null);
}

function drawing(entry, game) {
  const { layout, found } = steps(entry, game);
  return h("section", {},
    h("h2", {}, entry.games.length > 1 ? `Game ${game.counter + 1} of ${entry.games.length}, by ` : "The game, by ", accountLink(game.challenger), " ", h("span", { class: "quiet" }, game.state)),
    found.length && entry.trace_depth !== null ? [tree(found, layout), end(entry, game), h("ul", { class: "key" },
      h("li", { class: "agreed" }, "both sides agree"), h("li", { class: "chosen" }, "the first difference"), h("li", {}, "follows from it"))]
      : h("p", { class: "quiet" }, "The game stands at the root of the execution: nothing was opened yet."),
    clocks(entry, game),
    h("h2", {}, "Moves"),
    moves(game, layout));
}

export async function view(room, [id]) {
  async function draw() {
    const entry = await get(`/v1/disputes/${id}`);
    const claim = await get(`/v1/claims/${id}`);
    const known = await model(claim.claim.model_id);
    const total = entry.games.reduce((sum, game) => sum + game.gas.challenger + game.gas.defender, 0);
    show(
      room,
      h("h1", {}, "Dispute about ", h("span", { class: "mono" }, `${id.slice(0, 10)}…`)),
      h("p", { class: "lead" }, chip(entry.state), " a claim about ", modelLink(claim.claim.model_id, known.name), " by ", accountLink(claim.claim.claimant), `, ${ether(entry.bonds)} of bonds, ${number(total)} gas so far. `, h("a", { href: `#/claims/${id}` }, "The claim")),
      verdict(entry),
      ...entry.games.map((game) => drawing(entry, game)),
      h("h2", {}, "Terms"),
      facts([["claimant", account(claim.claim.claimant)], ["challenged", when(entry.opened_at)], ["trace root", entry.trace_root ? hex(entry.trace_root, 16) : "not given yet"], entry.trace_depth === null ? null : ["tree", `${entry.trace_depth} levels of values, ${entry.tensor_depth} levels of kilobytes`], ["per reveal", `${entry.arity} levels`], ["clock", `${duration(entry.clock)} a side`]]));
    return entry;
  }

  let entry = await draw();
  // Moves inside a game change no claim's state, and clocks run: look again while a game is open.
  const look = async () => {
    if (entry.games.some((game) => game.state === "open")) entry = await draw();
  };
  return again(look, 2, (change) => change.claim_id === id);
}
