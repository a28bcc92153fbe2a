"""``touchstone keys`` and ``touchstone receipt``, against real servers."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from tests.prover.openai.world import ADMIN, NAME, Running, gguf, tiny
from touchstone.cli import main


def run(running: Running, *words: str) -> Result:
    env = {"TOUCHSTONE_KEYS_URL": running.url, "TOUCHSTONE_KEYS_TOKEN": ADMIN}
    return CliRunner().invoke(main, list(words), env=env)


def test_a_key_is_made_used_listed_and_revoked(running: Running) -> None:
    made = run(running, "keys", "create", "a team", "--per-minute", "5", "--burst", "7")
    assert made.exit_code == 0, made.output
    key, name = made.stdout.strip(), made.stderr.split()[-1]
    headers = {"authorization": f"Bearer {key}"}
    assert httpx.get(f"{running.openai}/models", headers=headers).status_code == 200
    listed = run(running, "keys", "list").output
    (line,) = [line for line in listed.splitlines() if name in line]
    assert "5 a minute, 7 at once  good  a team" in line and key not in listed
    assert "is revoked" in run(running, "keys", "revoke", name).output
    assert httpx.get(f"{running.openai}/models", headers=headers).status_code == 401
    refused = run(running, "keys", "revoke", "none")
    assert refused.exit_code == 1 and "there is no key 'none'" in refused.stderr


def test_who_has_no_token_makes_no_key(running: Running) -> None:
    refused = CliRunner().invoke(main, ["keys", "create", "x"], env={"TOUCHSTONE_KEYS_URL": running.url})
    assert refused.exit_code == 1 and "send the operator's bearer token" in refused.stderr


def test_a_receipt_is_kept_and_verified_from_l1_alone(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = json.dumps({"model": NAME, "prompt": "hello the", "max_tokens": 4, "seed": 1}).encode()
    headers = {"authorization": f"Bearer {running.key()}"}
    answer = httpx.post(f"{running.openai}/completions", content=request, headers=headers, timeout=120)
    receipt, file, mine = answer.headers["touchstone-receipt"], tmp_path / "answer.json", tmp_path / "request.json"
    mine.write_bytes(request)
    kept = run(running, "receipt", "get", receipt, "--url", running.url, "--save", str(file))
    assert kept.exit_code == 0, kept.output
    # The tests' chain has no endpoint of its own.
    monkeypatch.setattr(import_module("touchstone.cli.receipt"), "chain_client", lambda *_, **__: running.l1)
    words = ("receipt", "verify", str(file))
    known = ("--texts", str(gguf()), "--request", str(mine), "--model", f"0x{tiny().program.id.hex()}")
    found = run(running, *words, *known)
    assert found.exit_code == 0, found.output
    assert f"receipt  {receipt}" in found.output and repr(answer.json()["choices"][0]["text"]) in found.output
    assert "proven: it answers your request" in found.output and "token by token" in found.output
    assert "not proven: that these words are those of the claim" in run(running, *words).output
    changed = json.loads(file.read_text())
    changed["response"] = changed["response"].replace('"index":0', '"index":1')
    file.write_text(json.dumps(changed))
    refused = run(running, *words)
    assert refused.exit_code == 1 and "the response's bytes do not hash to the receipt's" in refused.stderr
