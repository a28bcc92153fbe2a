// The router: an address after # is a view; a view is a function (main, parts, query) -> function that ends it.

import { follow, get, Problem } from "./api.js";
import { ether, duration, h, hex } from "./dom.js";
import { batch, batches } from "./batches.js";
import { claim } from "./claim.js";
import { claims } from "./claims.js";
import { dispute, disputes } from "./disputes.js";
import { models } from "./models.js";
import { request, requests } from "./requests.js";

const VIEWS = [
  [/^\/?$/, claims],
  [/^\/claims\/(0x[0-9a-f]{64})$/, claim],
  [/^\/batches$/, batches],
  [/^\/batches\/(\d+)$/, batch],
  [/^\/disputes$/, disputes],
  [/^\/disputes\/(0x[0-9a-f]{64})$/, dispute],
  [/^\/models$/, models],
  [/^\/requests$/, requests],
  [/^\/requests\/(0x[0-9a-f]{64})$/, request],
];

const main = document.getElementById("main");
let end = () => {};
let shown = 0;

async function show() {
  const [path, query] = location.hash.slice(1).split("?");
  const found = VIEWS.map(([pattern, view]) => [pattern.exec(path), view]).find(([match]) => match);
  end();
  end = () => {};
  const turn = ++shown;
  for (const link of document.querySelectorAll("nav a")) {
    const target = link.getAttribute("href").slice(1);
    const here = target === "/" ? path === "/" || path === "" || path.startsWith("/claims") : path.startsWith(target);
    here && target.startsWith("/") ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  const room = h("div", { class: "view" });
  main.setAttribute("aria-busy", "true");
  try {
    if (!found) throw new Problem(`There is no page ${path}.`);
    const finish = await found[1](room, found[0].slice(1), new URLSearchParams(query));
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
    h("span", {}, "contract ", hex(contract, 4)),
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

const live = document.getElementById("live");
follow((status) => {
  live.textContent = status;
  live.dataset.status = status;
});
addEventListener("hashchange", async () => {
  await show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
show();
network().catch(() => {});
