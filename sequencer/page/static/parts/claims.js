// Rows of claims.

import { model } from "../api.js";
import { chip, when } from "../dom.js";
import { accountLink, batchLink, claimLink, modelLink } from "../links.js";
import { row } from "./rows.js";

export const COLUMNS = ["state", "claim", "claimant", "model", "batch", "taken"];

export async function claimRow(entry) {
  const known = await model(entry.claim.model_id);
  return row([
    ["state", 1, chip(entry.state)],
    ["claim", 1, claimLink(entry.claim_id)],
    ["claimant", 1, accountLink(entry.claim.claimant)],
    ["model", 2, modelLink(entry.claim.model_id, known.name)],
    ["batch", 2, entry.batch ? batchLink(entry.batch.number) : "–"],
    ["taken", 2, when(entry.taken_at ?? entry.batch?.posted_at ?? null)],
  ], { "data-claim": entry.claim_id });
}
