// What the sequencer's public API says: plain requests, and one stream of changes that all views share.

export class Problem extends Error {}

/** The page's own address: this file lies one folder below, wherever a proxy puts both. */
const ROOT = new URL("..", import.meta.url);

export const at = (path) => new URL(path.replace(/^\/+/, ""), ROOT).href;

/** What the page was told about its surroundings, in its head; null where it was not. */
export const told = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? null;

export async function get(path) {
  let response;
  try {
    response = await fetch(at(path), { headers: { accept: "application/json" } });
  } catch {
    throw new Problem("The sequencer does not answer. Is it running?");
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw Object.assign(new Problem(problem.detail || problem.title || `The sequencer answered ${response.status}.`), { status: response.status });
  }
  return response.json();
}

/** A listing's address: parts of the query that are not given are left out. */
export const listing = (path, parts) => {
  const given = Object.entries(parts).filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== "all");
  return `${path}?${new URLSearchParams(given)}`;
};

let known = null;

export async function models() {
  const answer = await get("/v1/models");
  known = new Map(answer.models.map((entry) => [entry.id, entry]));
  return answer.models;
}

/** A model by id: all are asked for once, and again when an unknown one turns up. */
export async function model(id) {
  if (known === null || !known.has(id)) await models();
  return known.get(id) ?? { id, name: null, inputs: [], outputs: [] };
}

const listeners = new Set();

/** Calls `listener({claim_id, state, at})` at every change of a claim until the returned function is called. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Calls `look` at changes, many at once as one, and every `seconds`, until the returned function is called. */
export function again(look, seconds, about = () => true) {
  let waiting = null;
  const run = () => {
    waiting = null;
    Promise.resolve(look()).catch(() => {});
  };
  const stop = onChange((change) => {
    if (about(change)) waiting ??= setTimeout(run, 400);
  });
  const timer = setInterval(run, seconds * 1000);
  return () => {
    stop();
    clearInterval(timer);
    clearTimeout(waiting);
  };
}

export function follow(showStatus) {
  const source = new EventSource(at("/v1/events"));
  source.addEventListener("open", () => showStatus("live"));
  source.addEventListener("error", () => showStatus("reconnecting"));
  // Changes were missed that the sequencer no longer keeps: what is shown may be old.
  source.addEventListener("gap", () => location.reload());
  source.addEventListener("claim", (event) => {
    const change = JSON.parse(event.data);
    for (const listener of listeners) listener(change);
  });
}
