#!/usr/bin/env node
// Compiles the deployed contracts and writes ABI and bytecode to artifacts/, the package data of the Python side.
//
//   node build.mjs                  compile and write everything
//   node build.mjs --check          compile and fail if a committed artifact differs in a byte
//   node build.mjs NAME...          only these contracts
//
// Settings are those of the profile "shipped" in foundry.toml. Nothing in an artifact depends on the folder, the machine or the time.
import { readFileSync, writeFileSync, mkdirSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(fileURLToPath(import.meta.url));
const CONTRACTS = {
  RollupChain: "src/RollupChain.sol",
  DisputeGame: "src/DisputeGame.sol",
  OneStepProver: "src/OneStepProver.sol",
  Requests: "src/Requests.sol",
  Provers: "src/Requests.sol",
  OracleAdapter: "src/OracleAdapter.sol",
};
// The prover is compiled for speed, the chain and the requests to fit.
const RUNS = { "src/OneStepProver.sol": 10000, "src/RollupChain.sol": 800, "src/Requests.sol": 200 };
const LARGEST_RUNTIME = 24576;
const LARGEST_INITCODE = 49152;

function setting(name) {
  const found = readFileSync(join(ROOT, "foundry.toml"), "utf8").match(new RegExp(`^${name} = "?([^"\n]+)"?$`, "m"));
  if (!found) throw new Error(`foundry.toml has no setting ${name}; add it`);
  return found[1];
}

function sources(entry) {
  const found = {};
  const visit = (path) => {
    if (path in found) return;
    const content = readFileSync(join(ROOT, path), "utf8");
    found[path] = { content };
    for (const [, target] of content.matchAll(/^import [^"]*"(\.[^"]+)";/gm)) visit(normalize(join(dirname(path), target)));
  };
  visit(entry);
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function compile(solc, entry) {
  const input = {
    language: "Solidity",
    sources: sources(entry),
    settings: {
      optimizer: { enabled: true, runs: RUNS[entry] ?? Number(setting("optimizer_runs")) },
      viaIR: true,
      evmVersion: setting("evm_version"),
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  // Code that is too large (5574) is refused below, by the settings of the file that it is deployed from.
  const errors = (output.errors ?? []).filter((problem) => problem.errorCode !== "5574");
  const problems = errors.map((problem) => problem.formattedMessage);
  if (problems.length) throw new Error(problems.join("\n"));
  return output.contracts;
}

function artifact(contracts, name) {
  const { abi, evm } = contracts[`src/${name}.sol`][name];
  const runtime = evm.deployedBytecode.object.length / 2;
  const initcode = evm.bytecode.object.length / 2;
  if (runtime > LARGEST_RUNTIME || initcode > LARGEST_INITCODE) {
    throw new Error(`${name} has ${runtime} bytes (${initcode} to deploy it), more than the EVM's limits`);
  }
  console.log(`${name}: ${runtime} bytes of ${LARGEST_RUNTIME}, ${initcode} to deploy it of ${LARGEST_INITCODE}`);
  return `${JSON.stringify({ contractName: name, abi, bytecode: `0x${evm.bytecode.object}`, deployedBytecode: `0x${evm.deployedBytecode.object}` }, null, 1)}\n`;
}

function main() {
  const options = process.argv.slice(2);
  const checking = options.includes("--check");
  const named = options.filter((option) => option !== "--check");
  const unknown = named.filter((name) => !(name in CONTRACTS));
  if (unknown.length) throw new Error(`no such contract: ${unknown.join(", ")}; there are ${Object.keys(CONTRACTS).join(", ")}`);
  const names = named.length ? named : Object.keys(CONTRACTS);

  const solc = createRequire(import.meta.url)("solc");
  const compiled = {};
  const stale = [];
  mkdirSync(join(ROOT, "artifacts"), { recursive: true });
  for (const name of names) {
    const entry = CONTRACTS[name];
    compiled[entry] ??= compile(solc, entry);
    const text = artifact(compiled[entry], name);
    const path = join(ROOT, "artifacts", `${name}.json`);
    if (!checking) writeFileSync(path, text);
    else if (!existsSync(path) || readFileSync(path, "utf8") !== text) stale.push(name);
  }
  if (stale.length) throw new Error(`stale artifacts: ${stale.join(", ")}; run "make contracts" and commit them`);
}

try {
  main();
} catch (problem) {
  console.error(problem.message);
  process.exit(1);
}
