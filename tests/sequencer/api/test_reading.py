"""Models and their programs, the network's terms, the page, and the API's description of itself."""

import tarfile
from io import BytesIO

import httpx
import numpy as np
import pytest

from rollup import wire
from rollup.archive import unpack
from rollup.client.views import model_view
from rollup.documents.fields import read
from rollup.documents.network import ParametersView
from rollup.l1.deployment import Deployment
from tests.sequencer.api.test_claims import problem
from tests.world import TERMS
from touchstone.demo.digits import digits


def test_a_model_is_described_by_what_its_id_commits_to(world):
    (model,) = world.http.get("/v1/models").json()["models"]
    assert model == world.http.get("/v1/models/toy").json() == world.http.get(f"/v1/models/{model['id']}").json()
    assert (model["id"], model["name"], model["policy"]) == (wire.hex_of(world.program.id), "toy", "with claim")
    assert (model["retired"], model["program"]) == (False, True)
    assert model["inputs"] == [
        {"name": "input0", "shape": [600], "dtype": "float64", "integer": "i16", "scale": 8},
        {"name": "input1", "shape": [4], "dtype": "int16", "integer": "i16", "scale": 0},
    ]
    assert [one["shape"] for one in model["outputs"]] == [[6], [1]]
    view = model_view(model)
    assert (view.header, view.interface) == (world.program.header, world.program.interface)


@pytest.mark.parametrize("word", ["nothing", "0x12", "0x" + "00" * 32, "%00", "..%2f..%2fetc", "é" * 300])
def test_unknown_models_are_not_found(world, word):
    response = world.http.get(f"/v1/models/{word}")
    assert response.status_code == 404 and response.headers["content-type"] == "application/problem+json"
    assert world.http.get(f"/v1/models/{word}/program").status_code == 404


def test_a_program_that_is_fetched_has_the_id_that_it_was_asked_by(world, tmp_path):
    response = world.http.get("/v1/models/toy/program")
    assert response.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=BytesIO(response.content)) as archive:
        assert "manifest.json" in archive.getnames()
    assert unpack([response.content], tmp_path / "program", expected=world.program.id).id == world.program.id


def test_the_network_says_where_claims_count_and_on_which_terms(world):
    found = world.http.get("/v1/network").json()
    assert (found["chain_id"], found["contract"]) == (world.l1.domain.chain_id, world.l1.address)
    assert found["game"] == world.l1.game_address
    deployment = Deployment.of(world.l1)
    assert Deployment.from_json({name: value for name, value in found.items() if name != "game"}) == deployment
    assert read(ParametersView, found["parameters"]).value == TERMS


def test_batches_that_do_not_stand_are_not_found(world):
    problem(world.http.get(f"/v1/batches/{10**6}"), 404, "unknown-batch")
    for number in ("-1", "x", str(10**30), "1.5"):
        assert world.http.get(f"/v1/batches/{number}").status_code == 422
    assert world.http.get("/v1/batches", params={"cursor": "x"}).status_code == 422


def test_the_page_comes_with_a_policy_that_lets_nothing_else_in(world):
    page = world.http.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    for response in (page, world.http.get("/static/app.js"), world.http.get("/static/style.css")):
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert (
            b"http://" not in response.content.replace(b"http://www.w3.org/", b"")
            and b"https://" not in response.content
        )


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing",
        "/static/..%2findex.html",
        "/static/%2e%2e/%2e%2e/store/__init__.py",
        "/static//etc/passwd",
        "/nothing",
        "/v1",
        "/docs",
    ],
)
def test_attack_nothing_but_the_page_is_served(world, path):
    problem(world.http.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/claims"),
        ("PUT", "/v1/infer"),
        ("POST", "/"),
        ("PATCH", "/static/app.js"),
        ("BREW", "/v1/claims"),
    ],
)
def test_methods_that_a_path_does_not_take_are_refused(world, method, path):
    problem(world.http.request(method, path), 405, "method-not-allowed")


def test_answers_that_are_no_page_run_nothing(world):
    for path in ("/v1/network", "/healthz", "/nothing"):
        assert world.http.get(path).headers["content-security-policy"] == "default-src 'none'"


def test_the_description_of_the_api_covers_every_route_with_examples_and_problems(world):
    described = world.http.get("/openapi.json").json()
    operations = [one for path in described["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids)) and all(one["summary"] for one in operations)
    assert (
        "Problem" in described["components"]["schemas"]
        and "HTTPValidationError" not in described["components"]["schemas"]
    )
    for one in operations:
        problems = {status: answer for status, answer in one["responses"].items() if int(status) >= 400}
        assert {"422", "429", "500"} <= set(problems)
        assert all("application/problem+json" in answer["content"] for answer in problems.values())
    for name in ("/v1/claims", "/v1/infer"):
        body = described["paths"][name]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        schema = described["components"]["schemas"][body.rsplit("/", 1)[1]]
        assert "examples" in str(schema)
    expected = {
        "/v1/claims", "/v1/claims/{claim_id}", "/v1/claims/{claim_id}/events", "/v1/infer", "/v1/batches",
        "/v1/batches/{number}", "/v1/disputes", "/v1/disputes/{claim_id}", "/v1/models", "/v1/models/{model}",
        "/v1/models/{model}/program", "/v1/requests", "/v1/requests/{request_id}", "/v1/events", "/v1/clock",
        "/v1/network", "/v1/overview", "/v1/search", "/v1/accounts/{account}", "/v1/models/{model}/anatomy",
        "/v1/models/{model}/picture", "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    assert set(described["paths"]) == expected


def test_a_service_that_can_not_do_its_work_says_which_part(world):
    assert world.http.get("/readyz").json()["status"] == "ready"
    world.health.add("chain", lambda: "the node at https://user:secret@node.example/v3/key lags")
    try:
        server = world.serve()
        answer = httpx.get(f"{server.url}/readyz")
        assert "lags" in problem(answer, 503, "not-ready") and "chain" in answer.json()["checks"]
        assert "secret" not in answer.text and "v3" not in answer.text
        assert httpx.get(f"{server.url}/healthz").status_code == 200
    finally:
        world.health.add("chain", lambda: None)


def test_metrics_count_requests_by_route_and_never_by_path(world):
    world.http.get("/v1/claims/0x" + "ab" * 32)
    text = world.http.get("/metrics").text
    assert (
        'touchstone_http_requests_total{app="Touchstone sequencer",method="GET",route="/v1/claims/{claim_id}",status="404"}'
        in text
    )
    assert "abab" not in text


def test_claims_are_listed_by_a_models_name_as_by_its_id(world):
    world.hand_in(world.claim(95))
    by_name = world.http.get("/v1/claims", params={"model": "toy"}).json()
    assert by_name["claims"] and by_name == world.http.get(f"/v1/claims?model={wire.hex_of(world.program.id)}").json()
    problem(world.http.get("/v1/claims?model=nothing"), 404, "unknown-model")
    assert world.http.get(f"/v1/claims?model=0x{'00' * 32}").json()["claims"] == []


def test_a_path_with_a_slash_too_many_is_not_found_and_leads_nowhere(world):
    problem(world.http.get("/v1/claims/", headers={"host": "elsewhere.example"}), 404, "not-found")


def test_the_example_of_an_inference_is_one_that_the_digits_model_takes(world):
    bodies = world.http.get("/openapi.json").json()["components"]["schemas"]
    (example,) = bodies["InferRequest"]["examples"]
    assert example["model"] == "digits"
    assert [np.shape(given) for given in example["inputs"]] == [digits().images.shape[1:]]
