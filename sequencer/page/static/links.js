// Where things are shown: on this page, and on a block explorer if the page was told of one.

import { told } from "./api.js";
import { h, hex, short } from "./dom.js";

const EXPLORER = told("explorer");

const here = (path, id, text, digits) => h("a", { class: "mono", href: `#/${path}/${id}`, title: id }, text ?? short(id, digits));

export const claimLink = (id, digits = 8) => here("claims", id, null, digits);
export const disputeLink = (id, digits = 8) => here("disputes", id, null, digits);
export const requestLink = (id, digits = 8) => here("requests", id, null, digits);
export const accountLink = (id, digits = 4) => here("accounts", id, null, digits);
export const modelLink = (id, name, digits = 4) => h("a", { class: name ? "name" : "name mono", href: `#/models/${id}`, title: id }, name ?? short(id, digits));
export const batchLink = (number) => h("a", { href: `#/batches/${number}` }, `#${number}`);

/** A mark that leads to the block explorer; nothing without one. `kind`: tx, address or block. */
export function outside(kind, id) {
  if (EXPLORER === null) return null;
  const address = EXPLORER.replaceAll("{kind}", kind).replaceAll("{id}", encodeURIComponent(id));
  return h("a", { class: "outside", href: address, target: "_blank", rel: "noreferrer noopener", "aria-label": `${kind === "tx" ? "transaction" : kind} ${short(String(id), 4)} on the block explorer` }, "↗");
}

export const transaction = (id, digits = 8) => h("span", {}, hex(id, digits), outside("tx", id));
export const block = (number) => h("span", {}, `block ${number}`, outside("block", number));
export const account = (id, digits = 8) => h("span", {}, accountLink(id, digits), outside("address", id));
