// Checks of a receipt that need nobody's word: hashes of the bytes at hand, and the seeds that follow from them, computed here.
// Its signature is checked by `touchstone receipt verify`, since browsers don't know the curve.

const MEMBER = "touchstone";
const encoder = new TextEncoder();

const hexOf = (bytes) => `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
const bytesOf = (hex) => Uint8Array.from(hex.slice(2).match(/../g) ?? [], (pair) => parseInt(pair, 16));

const sha256 = async (bytes) => hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));

const isReceipt = (one) => ["request_sha256", "response_sha256", "id"].every((name) => /^0x[0-9a-fA-F]{64}$/.test(one?.[name]));

/** The event of a stream that carries a receipt, and what was sent before it. */
function streamed(text) {
  const at = text.lastIndexOf(`data: {`, text.lastIndexOf(`"${MEMBER}":`));
  const line = text.slice(at + 6).split("\n")[0];
  return { parsed: JSON.parse(line), before: text.slice(0, at) };
}

/** What was pasted: a receipt, a file with its bytes, what the endpoint keeps of it, a whole answer, or a whole stream.
 *  Gives {receipt, request, response (bytes or null), claims}; throws a sentence.
 */
export function opened(text) {
  let parsed;
  let response = null;
  try {
    if (text.startsWith("data:")) {
      const found = streamed(text);
      [parsed, response] = [found.parsed, found.before];
    } else {
      parsed = JSON.parse(text);
      // An answer's bytes are those of the object without the member, which comes last.
      if (parsed?.[MEMBER]) response = `${text.slice(0, text.lastIndexOf(`,"${MEMBER}":`))}}`;
      else if (typeof parsed?.response === "string") response = parsed.response;
    }
  } catch {
    throw new Error("That is no JSON and no stream; paste the receipt, or the answer that it came with, as it was sent.");
  }
  const receipt = [parsed, parsed?.receipt, parsed?.[MEMBER]].find(isReceipt);
  if (!receipt) throw new Error("There is no receipt in it: one names id, request_sha256 and response_sha256.");
  return {
    receipt,
    request: typeof parsed.request === "string" ? encoder.encode(parsed.request) : null,
    response: response === null ? null : encoder.encode(response),
    claims: Array.isArray(parsed.claims) ? parsed.claims : null,
  };
}

async function bytes(what, given, said) {
  if (given === null) return { name: what, state: "open", words: `Give the exact bytes of the ${what}: they must hash to ${said}.` };
  const is = await sha256(given);
  return is === said.toLowerCase()
    ? { name: what, state: "right", words: `These ${given.length} bytes are the ${what} that the receipt is about.` }
    : { name: what, state: "wrong", words: `These ${given.length} bytes hash to ${is}, the receipt says ${said}: another ${what}, or a byte of it was changed.` };
}

/** A seed is fixed by nonce, index and request before anybody can try another. */
async function seeds(receipt) {
  for (const answer of receipt.answers ?? []) {
    const index = new Uint8Array(4);
    new DataView(index.buffer).setUint32(0, answer.index);
    const parts = [bytesOf(receipt.nonce), index, bytesOf(receipt.request_sha256)];
    const is = await sha256(await new Blob(parts).arrayBuffer());
    if (is !== answer.seed_commitment.toLowerCase() || !is.startsWith(answer.seed.toLowerCase())) {
      return { name: "seed", state: "wrong", words: `The seed of answer ${answer.index} does not follow from nonce and request.` };
    }
  }
  return receipt.nonce_by === "server"
    ? { name: "seed", state: "open", words: "It follows from a nonce that the server chose: it may have tried many." }
    : { name: "seed", state: "right", words: "It follows from the caller's nonce and the request." };
}

const STATES = { pending: "taken, but not on L1 yet", posted: "on L1; anyone can still challenge it", challenged: "challenged just now", final: "final: nobody refuted it in time", invalid: "invalid: it was refused or proven false" };

/** What the sequencer knows of the claim about one answer, beside what the receipt promised. */
function promised(receipt, answer, entry) {
  const name = receipt.answers.length > 1 ? `claim ${answer.index}` : "claim";
  if (entry === null) return { name, state: "open", words: `Promised, to stand on L1 by ${new Date(receipt.posted_by * 1000).toUTCString()}. It is not known here yet.` };
  const said = entry.claim;
  const pairs = [["model", said.model_id, receipt.model_id], ["input", said.input_root, answer.input_root], ["nonce", said.nonce, answer.claim_nonce], ["claimant", said.claimant, receipt.prover]];
  const other = pairs.find(([, is, should]) => String(is).toLowerCase() !== String(should).toLowerCase());
  if (other) return { name, state: "wrong", words: `The claim ${entry.claim_id} has another ${other[0]} than the receipt promised.` };
  return { name, state: { final: "right", invalid: "wrong" }[entry.state] ?? "open", words: `About the receipt's model and input. By this sequencer's word it is ${STATES[entry.state]}.` };
}

/**
 * Each check: {name, state: "right" | "wrong" | "open", words}. `claimOf(index)` gives the claim about an answer as the sequencer
 * has it, or null.
 */
export async function checks(receipt, request, response, claimOf) {
  const found = [await bytes("request", request, receipt.request_sha256), await bytes("response", response, receipt.response_sha256), await seeds(receipt)];
  for (const answer of receipt.answers ?? []) found.push(promised(receipt, answer, await claimOf(answer.index)));
  return found;
}
