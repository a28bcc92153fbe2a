// What the sequencer's public API says: plain requests, and one stream of changes that all views share.

export class Problem extends Error {}

export async function get(path) {
  let response;
  try {
    response = await fetch(path, { headers: { accept: "application/json" } });
  } catch {
    throw new Problem("The sequencer does not answer. Is it running?");
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Problem(problem.detail || problem.title || `The sequencer answered ${response.status}.`);
  }
  return response.json();
}

let models = null;

/** All models by id, asked for once, and again when an unknown one turns up. */
export async function model(id) {
  if (models === null || !models.has(id)) {
    const answer = await get("/v1/models");
    models = new Map(answer.models.map((entry) => [entry.id, entry]));
  }
  return models.get(id) ?? { id, name: null, inputs: [], outputs: [] };
}

const listeners = new Set();

/** Calls `listener({claim_id, state, at})` at every change of a claim until the returned function is called. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function follow(showStatus) {
  const source = new EventSource("/v1/events");
  source.addEventListener("open", () => showStatus("live"));
  source.addEventListener("error", () => showStatus("reconnecting"));
  // Changes were missed that the sequencer no longer keeps: what is shown may be old.
  source.addEventListener("gap", () => location.reload());
  source.addEventListener("claim", (event) => {
    const change = JSON.parse(event.data);
    for (const listener of listeners) listener(change);
  });
}
