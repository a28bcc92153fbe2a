// The router: an address after # is a view; a view is a function (main, parts, query) -> function that ends it.

import { follow, get, listing, Problem, told } from "./api.js";
import { duration, ether, h } from "./dom.js";
import { account } from "./links.js";

const HASH = "(0x[0-9a-f]{64})";
const VIEWS = [
  ["/?", () => import("./views/front.js")],
  ["/claims", () => import("./views/claims.js")],
  [`/claims/${HASH}`, () => import("./views/claim.js")],
  ["/batches", () => import("./views/batches.js")],
  ["/batches/(\\d+)", () => import("./views/batch.js")],
  ["/disputes", () => import("./views/disputes.js")],
  [`/disputes/${HASH}`, () => import("./views/dispute.js")],
  ["/models", () => import("./views/models.js")],
  ["/models/([^/]+)", () => import("./views/model.js")],
  ["/accounts/(0x[0-9a-fA-F]{40})", () => import("./views/account.js")],
  ["/requests", () => import("./views/requests.js")],
  [`/requests/${HASH}`, () => import("./views/request.js")],
  ["/receipts", () => import("./views/receipt.js")],
  ["/playground", () => import("./views/playground.js")],
  ["/search", () => import("./views/search.js")],
].map(([path, load]) => [new RegExp(`^${path}$`), load]);

const main = document.getElementById("main");
let end = () => {};
let shown = 0;

function mark(path) {
  for (const link of document.querySelectorAll("nav a[href^='#']")) {
    const target = link.getAttribute("href").slice(1);
    path.startsWith(target) ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
}

async function show() {
  const [path, query] = location.hash.slice(1).split("?");
  const found = VIEWS.map(([pattern, load]) => [pattern.exec(path), load]).find(([match]) => match);
  end();
  end = () => {};
  const turn = ++shown;
  mark(path);
  const room = h("div", { class: "view" });
  main.setAttribute("aria-busy", "true");
  try {
    if (!found) throw new Problem(`There is no page ${path}.`);
    const { view } = await found[1]();
    const finish = await view(room, found[0].slice(1), new URLSearchParams(query));
    if (turn !== shown) return finish?.();
    end = finish ?? end;
  } catch (error) {
    if (!(error instanceof Problem)) console.error(error);
    room.replaceChildren(h("div", { class: "problem", role: "alert" }, h("h1", {}, "Not shown"), h("p", {}, error.message)));
  }
  if (turn !== shown) return;
  main.replaceChildren(room);
  main.removeAttribute("aria-busy");
  document.title = `${room.querySelector("h1")?.textContent ?? "Claims"} · Touchstone`;
}

async function network() {
  const { chain_id: chain, contract, parameters } = await get("/v1/network");
  document.getElementById("network").replaceChildren(
    h("span", {}, `chain ${chain}`),
    h("span", {}, "contract ", account(contract, 4)),
    h("span", {}, `challenge period ${duration(parameters.window)}`),
    h("span", {}, `clock ${duration(parameters.clock)}`),
    h("span", {}, `bond ${ether(parameters.claim_bond)}`),
  );
}

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = listing("#/search", { q: event.target.elements.q.value.trim() });
});

for (const link of document.querySelectorAll("[data-needs]")) link.hidden = told(link.dataset.needs) === null;

const live = document.getElementById("live");
addEventListener("hashchange", async () => {
  await show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
await show();
follow((status) => {
  live.textContent = status;
  live.dataset.status = status;
});
network().catch(() => {});
