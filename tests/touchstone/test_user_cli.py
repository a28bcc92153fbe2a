"""``touchstone infer``, ``claim`` and ``claims``: against a real HTTP server, and a chain over JSON-RPC."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from eth_abi.abi import encode

from rollup import wire
from rollup.client import Client
from rollup.documents.claims import ClaimFields, SignedClaim
from rollup.documents.fields import read
from rollup.errors import ChainError
from rollup.form.interface import Named
from rollup.l1 import reverts
from rollup.l1.deployment import Deployment
from rollup.l1.node.chain import Chain
from rollup.l1.node.development import KEYS, DevelopmentChain, accounts
from rollup.types import Duration
from tests.rollup.client.service import Handler, Service, ok, problem
from tests.rollup.client.world import MODEL, PROGRAM, ClientWorld, Made, toy
from tests.touchstone.test_devnet import Hurry
from touchstone.cli import main
from touchstone.devnet.chain import ChainServer
from touchstone.promises import load


@pytest.fixture(scope="module")
def rpc() -> Iterator[str]:
    with ChainServer(DevelopmentChain(Hurry()), "127.0.0.1", 0) as running:
        yield running.url


@pytest.fixture(scope="module")
def world(rpc: str) -> ClientWorld:
    return ClientWorld(Chain.connect(rpc), next(iter(accounts().values())), Duration(20))


@pytest.fixture(scope="module")
def deployment(world: ClientWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deployment") / "deployment.json"
    Deployment.of(world.l1).save(path)
    return path


@pytest.fixture(scope="module")
def made(world: ClientWorld) -> Made:
    """A claim on L1 that is final soon: the chain's seconds pass quickly."""
    claim = world.make(1)
    world.post(claim)
    return claim


@pytest.fixture
def service(world: ClientWorld, made: Made) -> Iterator[Service]:
    """An honest sequencer with one model and one claim."""

    def view(handler: Handler) -> None:
        ok(world.view(made))(handler)

    with Service() as running:
        running.on("GET /v1/models/toy", ok(MODEL))
        running.on("POST /v1/infer", ok(world.answer(made), 201))
        running.on(f"GET /v1/claims/{wire.hex_of(made.claim_id)}", view)
        yield running


@pytest.fixture
def inputs(made: Made, tmp_path: Path) -> Path:
    path = tmp_path / "inputs.json"
    path.write_text(json.dumps([array.tolist() for array in made.inputs]))
    return path


def run(*arguments: object, url: str, **environ: str) -> Result:
    """Without the settings of whoever runs the tests."""
    cleared = {"TOUCHSTONE_CONFIG": None, "TOUCHSTONE_DEPLOYMENT": None, "TOUCHSTONE_KEY": None, "TOUCHSTONE_RPC": None}
    return CliRunner().invoke(
        main, [str(word) for word in arguments], env={**cleared, "TOUCHSTONE_URL": url, **environ}
    )


def test_infer_waits_until_l1_calls_the_claim_final(
    service: Service, rpc: str, deployment: Path, inputs: Path, made: Made
) -> None:
    result = run("infer", "toy", "--input", inputs, "--wait", "--l1", rpc, "--deployment", deployment, url=service.url)
    assert result.exit_code == 0, result.output
    assert wire.hex_of(made.claim_id) in result.output and "spread: " in result.output
    assert result.output.splitlines()[-1] == "state    final, by L1's word: these outputs of this input"


def test_infer_takes_npz_and_speaks_json(service: Service, made: Made, tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs.npz", x=made.inputs[0], y=made.inputs[1])
    result = run("infer", "toy", "--input", tmp_path / "inputs.npz", "--json", url=service.url)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found == {
        "claim_id": wire.hex_of(made.claim_id),
        "state": "pending",
        "outputs": made.outputs,
        "clamped": 0,
        "saturated": 0,
        "saturated_inside": 0,
    }
    sent = json.loads(next(one.body for one in service.asked if one.method == "POST"))
    assert sent["inputs"] == [array.tolist() for array in made.inputs]


def test_numbers_beyond_the_model_s_range_are_refused_or_cut_and_told(
    service: Service, made: Made, tmp_path: Path
) -> None:
    path = tmp_path / "far.json"
    path.write_text(json.dumps([[1e9, *made.inputs[0].tolist()[1:]], made.inputs[1].tolist()]))
    result = run("infer", "toy", "--input", path, url=service.url)
    assert result.exit_code == 1 and "input x has 1e+09 at [0]; the model takes -128 to 127.996 there" in result.output
    result = run("infer", "toy", "--input", path, "--clamp", url=service.url)
    assert result.exit_code == 0 and "clamped  1 numbers of the input" in result.output


def test_an_inference_that_was_not_answered_is_resumed_by_its_key(
    service: Service, world: ClientWorld, made: Made, tmp_path: Path
) -> None:
    path = tmp_path / "inputs.json"
    path.write_text(json.dumps([array.tolist() for array in made.inputs]))
    away = problem(503, "nobody runs inferences just now", Retry_After="3600")
    service.on("POST /v1/infer", away, away, ok(world.answer(made), 201), ok(world.answer(made), 201))
    result = run("infer", "toy", "--input", path, url=service.url)
    (first,) = [one for one in service.asked if one.method == "POST"]
    key = first.headers["Idempotency-Key"]
    assert result.exit_code == 1 and "nobody runs inferences just now" in result.output
    assert f"it may have run and been claimed: the same inputs with the key {key} get its answer" in result.output
    assert f"(touchstone infer ... --resume {key})" in result.output
    # With --wait it is asked for until the patience is over.
    service.on(f"GET /v1/claims/{wire.hex_of(made.claim_id)}", ok(world.view(made, "final")))
    result = run("infer", "toy", "--input", path, "--resume", key, "--wait", url=service.url)
    assert result.exit_code == 0 and wire.hex_of(made.claim_id) in result.output
    assert {one.headers["Idempotency-Key"] for one in service.asked if one.method == "POST"} == {key}


def test_l1_is_looked_at_before_anything_is_asked_for(
    service: Service, deployment: Path, made: Made, tmp_path: Path
) -> None:
    path = tmp_path / "inputs.json"
    path.write_text(json.dumps([array.tolist() for array in made.inputs]))
    before = service.times("POST /v1/infer")
    l1 = ("--l1", "http://127.0.0.1:9", "--deployment", deployment)
    result = run("infer", "toy", "--input", path, *l1, url=service.url)
    assert result.exit_code == 1 and "L1 at 127.0.0.1: the chain did not answer the request" in result.output
    assert service.times("POST /v1/infer") == before
    with pytest.raises(ChainError, match=r"the deployment .*nowhere\.json cannot be read"):
        Client(service.url, l1=("http://127.0.0.1:9", tmp_path / "nowhere.json"))


def test_infer_fails_if_the_service_ran_the_model_on_other_inputs(
    service: Service, rpc: str, deployment: Path, made: Made, tmp_path: Path
) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps([(made.inputs[0] + 1).tolist(), made.inputs[1].tolist()]))
    result = run("infer", "toy", "--input", path, "--l1", rpc, "--deployment", deployment, url=service.url)
    assert result.exit_code == 1 and "is not about the inputs that were sent" in result.output


@pytest.mark.parametrize("content", ["[[1, 2", "{}", "[" * 9999, "[[1, [2]]]"])
def test_an_input_file_that_is_none_is_named(content: str, service: Service, tmp_path: Path) -> None:
    for name in ("inputs.json", "inputs.npz"):
        path = tmp_path / name
        path.write_text(content)
        result = run("infer", "toy", "--input", path, url=service.url)
        assert result.exit_code == 1 and f"{path} can't be read as inputs" in result.output
    assert service.times("POST /v1/infer") == 0


def test_verify_asks_l1_and_fails_until_the_claim_is_final(
    service: Service, rpc: str, deployment: Path, world: ClientWorld, made: Made
) -> None:
    pending = world.make(2)
    service.on(f"GET /v1/claims/{wire.hex_of(pending.claim_id)}", ok(world.view(pending, "final")))
    l1 = ("--l1", rpc, "--deployment", deployment)
    result = run("claims", "verify", wire.hex_of(pending.claim_id), *l1, url=service.url)
    assert result.exit_code == 1 and "state    not on L1 yet" in result.output
    while (result := run("claims", "verify", wire.hex_of(made.claim_id), *l1, "--json", url=service.url)).exit_code:
        assert json.loads(result.output)["state"] == "posted"
    found = json.loads(result.output)
    assert found["state"] == "final" and found["outputs"] == made.outputs
    # Names are the model's, which its id commits to; a sequencer that does not show it leaves numbers.
    said = run("claims", "verify", wire.hex_of(made.claim_id), *l1, url=service.url).output
    assert f"output   0: {made.outputs[0]}" in said, said
    service.on(f"GET /v1/models/0x{PROGRAM.id.hex()}", ok(MODEL))
    said = run("claims", "verify", wire.hex_of(made.claim_id), *l1, url=service.url).output
    for port, output in zip(PROGRAM.interface.outputs, made.outputs, strict=True):
        assert f"output   {port.name}: {output}" in said, said


def test_a_promise_is_kept_in_a_file_and_enforced_without_a_sequencer(
    service: Service, deployment: Path, inputs: Path, made: Made, rpc: str, tmp_path: Path
) -> None:
    kept = tmp_path / "promise.json"
    named = ("--deployment", deployment)
    result = run("infer", "toy", "--input", inputs, "--save", kept, *named, url=service.url)
    assert result.exit_code == 0 and f"claims enforce --from {kept}" in result.stdout, result.output
    assert load(kept) == made.posted
    again = run(
        "claims", "enforce", "--from", kept, "--rpc", rpc, *named, url="http://127.0.0.1:9", TOUCHSTONE_KEY=KEYS[3]
    )
    assert again.exit_code == 0 and "kept     the claim is on L1" in again.stdout, again.output
    kept.write_text(kept.read_text().replace('"nonce"', '"nounce"'))
    broken = run("claims", "enforce", "--from", kept, "--rpc", rpc, *named, url=service.url, TOUCHSTONE_KEY=KEYS[3])
    assert broken.exit_code == 1 and "holds no signed claim (claim.nonce)" in broken.output


def test_a_promise_that_is_none_is_not_kept(
    service: Service, deployment: Path, inputs: Path, world: ClientWorld, made: Made, tmp_path: Path
) -> None:
    kept, named = tmp_path / "promise.json", ("--deployment", deployment)
    place = f"GET /v1/claims/{wire.hex_of(made.claim_id)}"
    other = world.make(2)
    view = world.view(made)
    for changed, sentence in (
        (view | {"signature": world.view(other)["signature"]}, "signed it"),
        (view | {"outputs": world.view(other)["outputs"]}, "do not hash to its output root"),
    ):
        service.on(place, ok(changed))
        result = run("infer", "toy", "--input", inputs, "--save", kept, *named, url=service.url)
        assert result.exit_code == 1 and sentence in result.output, result.output
        assert not kept.exists()
    result = run("infer", "toy", "--input", inputs, "--save", kept, url=service.url)
    assert result.exit_code == 2 and "--save needs --deployment" in result.output


def test_models_are_listed_with_what_they_take(service: Service) -> None:
    service.on("GET /v1/models", ok({"models": [MODEL], "next": None}))
    listed = run("models", url=service.url)
    assert listed.exit_code == 0 and "toy" in listed.stdout and wire.hex_of(PROGRAM.id) in listed.stdout
    found = json.loads(run("models", "--json", url=service.url).stdout)
    assert found == [{"name": "toy", "model_id": wire.hex_of(PROGRAM.id), "retired": False}]


def test_a_custom_error_of_the_contracts_is_explained() -> None:
    low = "0x" + "5b6a3a26"
    data = next(key for key, item in reverts._errors().items() if item["name"] == "FeeTooLow")
    said = run("explain", wire.hex_of(data + encode(["uint256"] * 2, [10**9, 10**16])), url="")
    assert said.stdout.startswith("FeeTooLow: the fee of 1 gwei is below the 0.01 ether")
    for given in (low, wire.hex_of(data)):
        refused = run("explain", given, url="")
        assert refused.exit_code == 1 and "give all of the data" in refused.output


def test_verify_fails_for_a_lie(service: Service, rpc: str, deployment: Path, world: ClientWorld, made: Made) -> None:
    view = world.view(made)
    service.on(f"GET /v1/claims/{wire.hex_of(made.claim_id)}", ok({**view, "outputs": view["outputs"][:-2] + "77"}))
    result = run(
        "claims", "verify", wire.hex_of(made.claim_id), "--l1", rpc, "--deployment", deployment, url=service.url
    )
    assert result.exit_code == 1 and "do not hash to its output root" in result.output


def test_claims_are_listed_and_shown(service: Service, world: ClientWorld, made: Made) -> None:
    view = {name: value for name, value in world.view(made).items() if name not in ("signature", "inputs", "outputs")}
    service.on("GET /v1/claims", ok({"claims": [view], "next": None}))
    result = run("claims", "list", "--model", "toy", "--state", "final", "--limit", 3, url=service.url)
    assert result.exit_code == 0 and wire.hex_of(made.claim_id) in result.output
    assert service.asked[-1].query == f"state=final&model={MODEL['id']}&limit=3"
    listed = json.loads(run("claims", "list", "--json", url=service.url).output)
    shown = json.loads(run("claims", "show", wire.hex_of(made.claim_id), "--json", url=service.url).output)
    assert listed[0]["claim"] == shown["claim"] == ClaimFields.of(made.posted.claim).model_dump()
    assert shown["inputs"] == wire.hex_of(made.posted.inputs) and shown["inclusion"] == view["inclusion"]
    words = run("claims", "show", wire.hex_of(made.claim_id), url=service.url)
    assert words.exit_code == 0 and "claim.nonce" in words.output


def test_a_claim_is_made_with_an_own_key(
    service: Service, world: ClientWorld, deployment: Path, inputs: Path, tmp_path: Path
) -> None:
    PROGRAM.save(tmp_path / "toy")
    handed = []

    def take(handler: Handler) -> None:
        posted = read(SignedClaim, json.loads(service.asked[-1].body)).value
        handed.append(posted)
        ok({"claim_id": wire.hex_of(world.l1.claim_id(posted.claim)), "state": "pending"}, 201)(handler)

    service.on("POST /v1/claims", take)
    (tmp_path / "key").write_text(KEYS[1])
    (tmp_path / "key").chmod(0o600)
    account = list(accounts().values())[1].address
    # The tests' chain begins at a time of its own.
    until = ("--valid-for", 100 * 365 * 86400)
    arguments = ("claim", tmp_path / "toy", "--input", inputs, "--deployment", deployment, *until)
    result = run(*arguments, "--key-file", tmp_path / "key", url=service.url)
    assert result.exit_code == 0, result.output
    assert f"output   {PROGRAM.interface.outputs[0].name}: " in result.output
    assert f"signed by {account}" in result.output and KEYS[1] not in result.output
    world.l1.using(list(accounts().values())[1]).deposit(world.l1.parameters.claim_bond)
    receipt = world.l1.post_batch(handed)
    assert [type(event).__name__ for event in receipt.events].count("ClaimPosted") == 1

    assert "ends  " not in result.output

    spread = [int(number) for number in np.frombuffer(handed[-1].outputs[:24], "<i4")]
    ends = min(spread), max(spread)
    toy(outputs=(Named("spread", "float32", ends), Named("where", "int32"))).save(tmp_path / "narrow")
    narrow = ("claim", tmp_path / "narrow", *arguments[2:], "--key-file", tmp_path / "key")
    said = run(*narrow, url=service.url).output
    assert "ends     2 elements of the output lie at an end of their format" in said, said
    assert json.loads(run(*narrow, "--json", url=service.url).output)["saturated"] == 2

    missing = run(*arguments, url=service.url)
    assert missing.exit_code == 1 and "needs a key" in missing.output
    service.on("POST /v1/claims", ok({"claim_id": "0x" + "11" * 32, "state": "pending"}, 201))
    other = run(*arguments, url=service.url, TOUCHSTONE_KEY=KEYS[1])
    assert other.exit_code == 1 and "another deployment" in other.output and KEYS[1] not in other.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("claims", "show", "0x12"), 1, "the claim's id has 1 bytes"),
        (("claims", "show", "0x" + "00" * 32), 1, "there is no such thing"),
        (("claims", "verify", "0x" + "00" * 32), 2, "--deployment is needed"),
        (("claims", "list", "--claimant", "me"), 1, "--claimant is 'me'"),
    ],
)
def test_what_cannot_be_done_says_why(arguments: tuple[str, ...], code: int, words: str, service: Service) -> None:
    result = run(*arguments, url=service.url)
    assert (result.exit_code, words in result.output) == (code, True), result.output


def test_l1_without_a_deployment_is_a_usage_error(service: Service, inputs: Path) -> None:
    result = run("infer", "toy", "--input", inputs, "--l1", "http://127.0.0.1:1", url=service.url)
    assert result.exit_code == 2 and "--l1 needs --deployment" in result.output


def test_a_refusal_is_one_sentence(service: Service, inputs: Path) -> None:
    service.on("POST /v1/infer", problem(422, "the model toy is offered no more"))
    result = run("infer", "toy", "--input", inputs, url=service.url)
    assert result.exit_code == 1
    assert result.output.strip() == "touchstone: POST /v1/infer was refused with 422: the model toy is offered no more"


def test_every_command_says_what_it_does() -> None:
    for name in ("infer", "claim", "claims"):
        command = main.commands[name]
        for one in [command, *(command.commands.values() if isinstance(command, click.Group) else ())]:
            assert one.get_short_help_str()
