"""From an application's numbers through the sequencer and the real prover to L1 and back: all three agree on every one."""

import json
from dataclasses import replace

import httpx
import jax.numpy as jnp
import numpy as np
import pytest

from prover.lowering.lower import lower
from prover.service.archive import Archive
from prover.service.worker import InferenceWorker
from rollup import wire
from rollup.client import Client
from rollup.errors import BadAnswer, ClientError
from rollup.form.encoding import Header, TensorType, TracePolicy
from rollup.form.interface import Interface, Named
from rollup.l1.account.signing import Domain
from rollup.l1.answers import ClaimStatus
from rollup.service.server import serve
from rollup.types import DType, Timestamp
from sequencer.api.app import create_api
from sequencer.api.parts import Parts
from sequencer.api.prover import ProverClient, input_bytes_of
from sequencer.states import OfferedModel
from tests.e2e.toy_program import toy_inputs
from tests.prover.service.world import TOKEN, model_of_toy, served
from tests.sequencer.api.world import ApiWorld
from tests.touchstone.test_user_cli import run

WEIGHTS = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
SUMMED = np.outer(1 + np.linspace(-0.05, 0.05, 8), [1, 0.5]).astype(np.float32)
"""Numbers of the sample nearly cancel out in it."""


def net(x, n):
    """A float model whose outputs are reals and an integer; ``whole`` adds up values inside that may be cut."""
    scores = jnp.tanh(x @ WEIGHTS) * n
    whole = jnp.tanh(jnp.abs(x @ (2 * SUMMED)) @ np.ones((2, 1), np.float32))
    return {"best": jnp.argmax(scores), "scores": scores, "sums": x @ SUMMED, "whole": whole}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_on_a_fine_grid_the_very_bytes_are_expected_that_a_prover_claims(dtype):
    """The nearest float32 of 5.1 and 5.1 itself are different integers there."""
    numbers = [5.1, *np.random.default_rng(3).normal(size=63)]
    header = Header(TracePolicy.WITH_CLAIM, 0, 0, 1, (TensorType(DType.I32, 28, (64,)),), ())
    interface = Interface((Named("x", dtype),), (), [])
    expected, clamped = input_bytes_of(header, interface, [numbers])
    scaled = np.rint(np.array(numbers, dtype).astype(np.float64) * 2.0**28)
    assert (expected, clamped) == (scaled.astype("<i4").tobytes(), 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Of this module's own, because it offers one more model."""
    world = ApiWorld(tmp_path_factory.mktemp("sequencer"))
    yield world
    world.stop()


@pytest.fixture(scope="module")
def model():
    return lower(net, np.linspace(-1, 1, 8, dtype=np.float32), np.int32(3))


@pytest.fixture(scope="module")
def account(world, model):
    """The prover's, which has the bonds; its float model is offered."""
    world.deployer.register(model.program)
    world.store.models.add(OfferedModel.of(model.program, "net", Timestamp(1)))
    account = world.client("prover of floats")
    account.deposit(10 * world.l1.parameters.claim_bond)
    world.sync()
    return account


def asking(world, worker):
    """A client of a sequencer whose prover has this worker, the sequencer's URL, and what ends both."""
    made = served(worker, Archive(worker.trace))
    prover = ProverClient(str(made.__enter__().base_url), TOKEN, world.l1.domain)
    parts = Parts(world.store, world.l1, world.intake, world.programs, world.health, prover)
    server = serve(create_api(parts, world.limits), "127.0.0.1", 0).start()
    client = Client(server.url, l1=world.l1)

    def end():
        client.close()
        server.stop()
        made.__exit__(None, None, None)

    return client, server.url, end


def worker_of(world, account, model, kind=InferenceWorker, domain=None):
    worker = kind(world.chain.signer("prover of floats"), domain or account.domain, world.chain.now)
    worker.hold(model_of_toy(), "toy")
    worker.hold(model, "net")
    return worker


def test_what_an_application_gets_is_what_the_model_says_what_l1_has_and_what_it_checks_itself(world, account, model):
    client, _, end = asking(world, worker_of(world, account, model))
    try:
        x = np.random.default_rng(1).uniform(-1, 1, 8).astype(np.float32)
        answer, toy = (
            client.infer("net", x, np.int32(2)),
            client.infer("toy", toy_inputs(150)[0] / 256, toy_inputs(150)[1]),
        )
        says = model.predict(x, np.int32(2))
        right = net(x, 2)
        assert [tensor.name for tensor in answer.model.outputs] == ["best", "scores", "sums", "whole"]
        assert answer.outputs[0] == says["best"] == right["best"]
        np.testing.assert_array_equal(answer.outputs[1], says["scores"])
        np.testing.assert_allclose(answer.outputs[1], right["scores"], atol=1e-3)
        world.post_all()
        for one in (answer, toy):
            found = client.verify_inclusion(one)
            assert found.status is ClaimStatus.POSTED and found.inputs_checked
            assert found.claim.claimant == account.account
        world.pass_time(world.l1.parameters.window + 1)
        assert client.wait_final(answer, timeout=60).state == "final"
    finally:
        end()


def test_what_an_output_s_format_cut_is_counted_alike_by_everybody(world, account, model):
    """The prover, the sequencer (in its answer and in the claim), the client and the commands."""
    worker = worker_of(world, account, model)
    client, url, end = asking(world, worker)
    try:
        x, n = np.full(8, 1.5, np.float32), np.int32(1)
        made = worker.infer("net", [x.tolist(), 1])[1]
        assert not model.cuts(x, n) and (made.saturated, made.saturated_inside) == (2, 2)
        answer = client.infer("net", x, n)
        assert (answer.clamped, answer.saturated, answer.saturated_inside) == (0, 2, 2) and np.all(
            answer.outputs[2] < (x @ SUMMED) / 2
        )
        world.post_all()
        assert client.verify_inclusion(answer).inputs_checked
        for wrong in (0, 1, 3):
            with pytest.raises(BadAnswer, match=f"given {wrong} elements lie at an end of their format"):
                client.verify_inclusion(replace(answer, saturated=wrong))
        assert client.get(answer.claim_id).saturated == 2
        small = client.infer("net", x / 100, n)
        assert (small.saturated, small.saturated_inside) == (0, 0)
        path = world.folder / "far.json"
        path.write_text(json.dumps([x.tolist(), 1]))
        raw = httpx.post(f"{url}/v1/infer", json={"model": "net", "inputs": [x.tolist(), 1]}).json()
        assert (raw["clamped"], raw["saturated"], raw["saturated_inside"]) == (0, 2, 2)
        said = run("infer", "net", "--input", path, url=url).output
        assert "ends     2 elements of the output lie at an end of their format: the real values may lie beyond" in said
        assert (
            "ends     2 elements inside the program lie at an end of their format: the real values may lie beyond"
            in said
        )
        told = json.loads(run("infer", "net", "--input", path, "--json", url=url).output)
        assert (told["saturated"], told["saturated_inside"]) == (2, 2)
        shown = ("claims", "show", wire.hex_of(answer.claim_id))
        assert json.loads(run(*shown, "--json", url=url).output)["saturated"] == 2
        assert "saturated" in run(*shown, url=url).output
        path.write_text(json.dumps([(x / 100).tolist(), 1]))
        assert "ends  " not in run("infer", "net", "--input", path, url=url).output
    finally:
        end()


class OfOtherInputs(InferenceWorker):
    """Runs the model on something else."""

    def infer(self, name, inputs, clamp=False):
        return super().infer(name, [np.zeros_like(np.asarray(one)).tolist() for one in inputs])


class OfAnotherModel(InferenceWorker):
    """Runs a cheaper model."""

    def infer(self, name, inputs, clamp=False):
        return super().infer("toy", [[0.0] * 600, [0] * 4])


@pytest.mark.parametrize("kind", [OfOtherInputs, OfAnotherModel, "another chain's"])
def test_attack_a_real_prover_that_claims_something_else_gets_nothing_claimed(world, account, model, kind):
    domain = Domain(account.domain.chain_id + 1, account.domain.contract) if isinstance(kind, str) else None
    worker = worker_of(world, account, model, InferenceWorker if domain else kind, domain)
    client, _, end = asking(world, worker)
    before = world.store.claims.counts()
    try:
        with pytest.raises(ClientError) as refused:
            client.infer("net", np.ones(8, np.float32), np.int32(1))
        assert refused.value.status == 502
        assert world.store.claims.counts() == before
    finally:
        end()
