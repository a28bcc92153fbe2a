// Checks of a receipt that need nobody's word: hashes of the bytes at hand, computed here. Its signature is checked by
// `touchstone receipt verify`, since browsers don't know the curve.

const encoder = new TextEncoder();

export async function sha256(bytes) {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return `0x${Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export const bytesOf = (text) => encoder.encode(text);

/** The receipt inside what was pasted: itself, or a member of an answer. Throws a sentence. */
export function receiptOf(text) {
  let parsed;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error("That is no JSON; paste the receipt, or the answer that it came with.");
  }
  const places = [parsed, parsed?.receipt, parsed?.touchstone?.receipt, parsed?.touchstone, parsed?.message];
  const found = places.find((one) => one && typeof one === "object" && hashOf(one, "request") && hashOf(one, "response"));
  if (!found) throw new Error("There is no receipt in it: one names request_sha256 and response_sha256.");
  return found;
}

/** A hash as 0x and 64 digits, however it is written; null if the receipt has none. */
export function hashOf(receipt, what) {
  const given = receipt[`${what}_sha256`] ?? receipt[`${what}_hash`] ?? receipt[what]?.sha256;
  const digits = typeof given === "string" ? given.toLowerCase().replace(/^(sha256:|0x)/, "") : "";
  return /^[0-9a-f]{64}$/.test(digits) ? `0x${digits}` : null;
}

/** A member whose name may be written in several ways. */
export const member = (receipt, ...names) => names.map((name) => receipt[name]).find((value) => value !== undefined && value !== null) ?? null;

/**
 * Each check: {name, state: "right" | "wrong" | "open", words}. `bytes`: {request, response}, null for what is not at hand.
 * `claim(id)` gives the claim as the sequencer has it, or null.
 */
export async function checks(receipt, bytes, claim) {
  const found = [];
  for (const what of ["request", "response"]) {
    const said = hashOf(receipt, what);
    if (bytes[what] === null) {
      found.push({ name: what, state: "open", words: `Give the exact bytes of the ${what} to compare them with ${said}.` });
      continue;
    }
    const is = await sha256(bytes[what]);
    found.push(is === said
      ? { name: what, state: "right", words: `These ${bytes[what].length} bytes are the ${what} that the receipt is about.` }
      : { name: what, state: "wrong", words: `These ${bytes[what].length} bytes hash to ${is}, the receipt says ${said}: another ${what}, or a byte of it was changed.` });
  }
  const id = member(receipt, "claim_id", "claim");
  if (typeof id !== "string") {
    found.push({ name: "claim", state: "open", words: "The receipt names no claim yet: so far it is a promise. Fetch it again once its claim is made." });
    return found;
  }
  const entry = await claim(id);
  if (entry === null) {
    found.push({ name: "claim", state: "open", words: `This sequencer does not know claim ${id}.` });
    return found;
  }
  const model = member(receipt, "model_id", "model");
  if (typeof model === "string" && /^0x/.test(model)) {
    const same = model.toLowerCase() === entry.claim.model_id.toLowerCase();
    found.push({ name: "model", state: same ? "right" : "wrong", words: same ? "The claim is about the receipt's model." : `The claim is about model ${entry.claim.model_id}, the receipt about ${model}.` });
  }
  const root = member(receipt, "input_root");
  if (typeof root === "string") {
    const same = root.toLowerCase() === entry.claim.input_root.toLowerCase();
    found.push({ name: "input", state: same ? "right" : "wrong", words: same ? "The claim is about the receipt's input." : "The claim is about another input than the receipt." });
  }
  const words = { pending: "taken, but not on L1 yet", posted: "on L1; anyone can still challenge it", challenged: "challenged just now", final: "final: nobody refuted it in time", invalid: "invalid: it was refused or proven false" };
  found.push({ name: "claim", state: { final: "right", invalid: "wrong" }[entry.state] ?? "open", words: `By this sequencer's word the claim is ${words[entry.state]}.` });
  return found;
}
