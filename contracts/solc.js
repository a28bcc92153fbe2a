#!/usr/bin/env node
// Lets forge run the npm build of the compiler: answers --version and --standard-json as the native one does. Without via-IR,
// as the tests are compiled, bytecode is made of the tests alone: src/ needs via-IR, and the tests take it from artifacts/.
"use strict";
const solc = require("solc");

if (process.argv.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else {
  const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
  if (!input.settings.viaIR) {
    const everything = input.settings.outputSelection["*"];
    const tests = Object.keys(input.sources).filter((path) => !path.startsWith("src/"));
    input.settings.outputSelection = Object.fromEntries(tests.map((path) => [path, everything]));
  }
  process.stdout.write(solc.compile(JSON.stringify(input)));
}
