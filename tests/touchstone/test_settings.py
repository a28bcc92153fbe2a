"""Settings come from the right place, errors name it, and no secret is ever shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from rollup.errors import SettingsError
from rollup.words import show_wei
from touchstone.services.l1 import web_limits
from touchstone.settings.options import options, shown
from touchstone.settings.page import PAGE, page
from touchstone.settings.section import Section, settings_of
from touchstone.settings.settings import (
    ALL,
    ChainSettings,
    DeploySettings,
    KeySettings,
    ProverSettings,
    SequencerSettings,
    WatchSettings,
)
from touchstone.settings.sources import load
from touchstone.settings.units import seconds, show_seconds, show_size, size, wei, whole_seconds

SECRET = "0x" + "5e" * 32


def toml(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text)
    return file


def run(section: type[Section], arguments: list[str], env: dict[str, str] | None = None) -> tuple[Any, str]:
    """The settings that a command with these arguments is called with, and what it printed."""
    called: list[Any] = []

    @click.command()
    @options(section)
    def command(settings: Any) -> None:
        called.append(settings)

    clean = {entry.env: None for kind in ALL for entry in settings_of(kind)}
    result = CliRunner().invoke(command, arguments, env={**clean, "TOUCHSTONE_CONFIG": None, **(env or {})})
    if isinstance(result.exception, SettingsError):
        raise result.exception
    return (called[0] if called else None), result.output


def test_a_flag_wins_over_the_environment_which_wins_over_the_file_which_wins_over_the_default(tmp_path: Path) -> None:
    file = toml(tmp_path, '[sequencer]\nport = 1\nadmin_port = 1\nbatch_count = 1\n[chain]\nrpc = "http://toml"')
    env = {"TOUCHSTONE_SEQUENCER_PORT": "2", "TOUCHSTONE_SEQUENCER_ADMIN_PORT": "2"}
    settings, _ = run(SequencerSettings, ["--port", "3", "--config", str(file)], env)
    assert (settings.port, settings.admin_port, settings.batch_count, settings.burst) == (3, 2, 1, 200)
    assert settings.chain.rpc == "http://toml"


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = toml(tmp_path, "[prover]\nport = 1")
    assert run(ProverSettings, [], {"TOUCHSTONE_CONFIG": str(file)})[0].port == 1


def test_one_file_serves_all_services_and_an_unknown_table_or_key_is_named(tmp_path: Path) -> None:
    file = toml(tmp_path, '[sequencer]\nport = 1\n[prover]\nport = 2\n[watch]\nport = 3\n[log]\nlevel = "debug"')
    found = [load(kind, environ={}, config=file).port for kind in (SequencerSettings, ProverSettings, WatchSettings)]
    assert found == [1, 2, 3]
    with pytest.raises(SettingsError, match=r"config\.toml: \[prover\] prot is no setting; keys are .*port"):
        load(SequencerSettings, environ={}, config=toml(tmp_path, "[prover]\nprot = 2"))
    with pytest.raises(SettingsError, match=r"a table \[provr\] that nothing reads"):
        load(SequencerSettings, environ={}, config=toml(tmp_path, "[provr]\nport = 2"))
    with pytest.raises(SettingsError, match="sets prover to a value; it is a table"):
        load(SequencerSettings, environ={}, config=toml(tmp_path, "prover = 2"))
    with pytest.raises(SettingsError, match="is no TOML"):
        load(SequencerSettings, environ={}, config=toml(tmp_path, "[prover"))
    with pytest.raises(SettingsError, match=r"nowhere\.toml.*can't be read"):
        load(SequencerSettings, environ={}, config=tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"TOUCHSTONE_SEQUENCER_PORT": "65536"}, "TOUCHSTONE_SEQUENCER_PORT: should be less"),
        ({"TOUCHSTONE_SEQUENCER_PORT": "http"}, "TOUCHSTONE_SEQUENCER_PORT: should be a valid integer"),
        ({"TOUCHSTONE_FEE_CAP": "7 doubloons"}, "TOUCHSTONE_FEE_CAP: '7 doubloons' is no amount"),
        ({"TOUCHSTONE_FEE_CAP": "7"}, "TOUCHSTONE_FEE_CAP: '7' names no unit; write \"7 ether\""),
        ({"TOUCHSTONE_FEE_BUMP": "5"}, "TOUCHSTONE_FEE_BUMP: should be greater than or equal to 13"),
        ({"TOUCHSTONE_LOG_LEVEL": "loud"}, "TOUCHSTONE_LOG_LEVEL: should be 'debug', 'info'"),
        ({"TOUCHSTONE_FINALITY": "soon"}, "TOUCHSTONE_FINALITY: "),
        ({"TOUCHSTONE_KEYSTORE": "a.json"}, "a keystore needs its password"),
        ({"TOUCHSTONE_KEY": SECRET, "TOUCHSTONE_KEYSTORE": "a.json"}, "a key and a keystore are given"),
        ({"TOUCHSTONE_KEY": SECRET, "TOUCHSTONE_KEY_FILE": "a"}, "TOUCHSTONE_KEY_FILE and TOUCHSTONE_KEY are both set"),
        ({"TOUCHSTONE_KEY_FILE": "/nowhere"}, "/nowhere, which should hold the secret of TOUCHSTONE_KEY_FILE"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_place_and_shows_no_secret(env: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(sentence)) as caught:
        load(SequencerSettings, environ=env)
    assert SECRET not in str(caught.value)


def test_a_flags_bad_value_names_the_flag() -> None:
    with pytest.raises(SettingsError, match="--batch-age: 'soon' is no duration"):
        run(SequencerSettings, ["--batch-age", "soon"])


def test_a_secret_comes_from_the_environment_or_from_a_file_but_from_no_flag_and_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    for settings in (
        load(ChainSettings, environ={"TOUCHSTONE_KEY": SECRET}),
        load(ChainSettings, environ={"TOUCHSTONE_KEY_FILE": str(file)}),
        load(ChainSettings, environ={}, config=toml(tmp_path, f'[chain]\nkey_file = "{file}"')),
        run(ChainSettings, ["--key-file", str(file)], {"TOUCHSTONE_KEY": "an older one"})[0],
    ):
        assert settings.key is not None and settings.key.get_secret_value() == SECRET
    with pytest.raises(SettingsError, match="is a secret and does not belong into this file") as caught:
        load(ChainSettings, environ={}, config=toml(tmp_path, f'[chain]\nkey = "{SECRET}"'))
    assert SECRET not in str(caught.value)
    assert "No such option" in run(ChainSettings, ["--key", SECRET])[1]


def test_a_secret_file_that_everybody_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET)
    file.chmod(0o644)
    where = {"TOUCHSTONE_KEY_FILE": str(file)}
    with pytest.raises(SettingsError, match=f"can be read by every user of this machine; chmod 600 {file}"):
        load(KeySettings, environ=where)
    file.chmod(0o640)
    assert load(KeySettings, environ=where).key is not None
    # What a container mounts for itself is readable in it.
    file.chmod(0o644)
    monkeypatch.setattr("touchstone.settings.sources.MOUNTED", tmp_path)
    assert load(KeySettings, environ=where).key is not None


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(SettingsError, match="is empty; write the secret into it"):
        load(KeySettings, environ={"TOUCHSTONE_KEY_FILE": str(tmp_path / "key")})


def test_secrets_and_keys_inside_urls_are_in_no_repr_and_no_dump() -> None:
    env = {
        entry.env: SECRET for kind in (SequencerSettings, WatchSettings) for entry in settings_of(kind) if entry.secret
    }
    env.pop("TOUCHSTONE_KEYSTORE_PASSWORD")
    env |= {
        "TOUCHSTONE_RPC": f"https://user:{SECRET}@node.example/v3/{SECRET}?key={SECRET}",
        "TOUCHSTONE_SEQUENCER_DATABASE": f"postgresql+psycopg://user:{SECRET}@db.example/claims",
        "TOUCHSTONE_WATCH_WEBHOOK": f"https://hooks.example/{SECRET}",
        "TOUCHSTONE_WATCH_TRACES": f"https://{SECRET}@a.example,https://b.example",
    }
    for kind in (SequencerSettings, WatchSettings):
        settings = load(kind, environ=env)
        dump = shown(settings)
        assert SECRET not in f"{settings!r} {settings} {dump}"
        assert dump["chain"]["key"] == "set"
        assert dump["chain"]["keystore_password"] == "not set"
        assert dump["chain"]["rpc"] == "https://***@node.example/..."
    assert dump["traces"] == ["https://***@a.example", "https://b.example"]
    assert shown(load(SequencerSettings, environ=env))["database"] == "postgresql+psycopg://***@db.example/claims"


def test_an_empty_variable_counts_as_not_set_and_lists_are_separated_by_commas() -> None:
    env = {"TOUCHSTONE_WATCH_PORT": "", "TOUCHSTONE_WATCH_MODELS": "a, b,", "TOUCHSTONE_WATCH_ALL_MODELS": "false"}
    settings = load(WatchSettings, environ=env)
    assert (settings.port, settings.models, settings.all_models) == (8083, (Path("a"), Path("b")), False)
    assert run(WatchSettings, ["--models", "c", "--models", "d"], env)[0].models == (Path("c"), Path("d"))
    assert run(WatchSettings, ["--all-models", "--models-from", "http://s"], env)[0].all_models is True


def test_proxies_are_addresses_or_networks_and_never_everybody() -> None:
    given = {"TOUCHSTONE_SEQUENCER_PROXIES": "10.0.0.7,192.168.1.5/24,2001:db8::/32"}
    settings = load(SequencerSettings, environ=given)
    assert settings.proxies == ("10.0.0.7/32", "192.168.1.0/24", "2001:db8::/32")
    assert web_limits(settings).proxies == settings.proxies
    for wrong, sentence in (("proxy.example", "no address"), ("*", "no address"), ("0.0.0.0/0", "trusts everybody")):
        with pytest.raises(SettingsError, match=sentence):
            load(SequencerSettings, environ={"TOUCHSTONE_SEQUENCER_PROXIES": wrong})


def test_a_watcher_that_has_nowhere_to_fetch_models_from_is_refused() -> None:
    with pytest.raises(SettingsError, match="needs --models-from"):
        run(WatchSettings, ["--all-models"])


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_setting_has_one_flag_one_variable_one_key_and_a_sentence(kind: type[Section]) -> None:
    found = list(settings_of(kind))
    for names in ([e.flag for e in found], [e.env for e in found], [e.place for e in found]):
        assert len(set(names)) == len(names) > 0
    assert all(entry.help.endswith(".") for entry in found)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_default_is_written_as_it_is_read(kind: type[Section]) -> None:
    written = {entry.env: entry.default for entry in settings_of(kind) if entry.default is not None}
    assert load(kind, environ=written) == load(kind, environ={})


def test_one_variable_never_means_two_things() -> None:
    meaning: dict[str, set[str]] = {}
    for kind in (SequencerSettings, ProverSettings, WatchSettings):
        for entry in settings_of(kind):
            meaning.setdefault(entry.env, set()).add(entry.place)
    shared = {name: places for name, places in meaning.items() if len(places) > 1}
    # The sequencer's token for the prover is the prover's own: one secret, one name.
    assert set(shared) == {"TOUCHSTONE_PROVER_TOKEN", "TOUCHSTONE_PROVER_TOKEN_FILE"}


def test_the_deployers_keys_are_the_chains() -> None:
    assert {entry.place for entry in settings_of(DeploySettings)} <= {
        entry.place for entry in settings_of(ChainSettings)
    }


def test_quantities_are_read_exactly_and_written_as_people_write_them() -> None:
    assert [seconds(text) for text in ("90", "1.5h", "7d", "250 ms")] == [90.0, 5400.0, 604800.0, 0.25]
    assert [wei(text) for text in ("0.1 ether", "30 gwei", "1_000 wei", "0")] == [10**17, 30 * 10**9, 1000, 0]
    assert wei("0.000000000000000001 ether") == 1
    assert [size(text) for text in ("96 KiB", "64MiB", 1024)] == [98304, 64 << 20, 1024]
    assert [show_seconds(604800), show_seconds(5400), show_seconds(0.25)] == ["7d", "90min", "0.25s"]
    assert [show_wei(10**17), show_wei(30 * 10**9), show_wei(0)] == ["0.1 ether", "30 gwei", "0"]
    assert show_size(98304) == "96 KiB"
    for bad in ("1", "5", 5, "0.1", 10**18):
        with pytest.raises(ValueError, match=f'names no unit; write "{bad} ether", "{bad} gwei" or "{bad} wei"'):
            wei(bad)
    for bad in ("", "-1s", "1e9", "1 fortnight", "9" * 50, True, "nan"):
        with pytest.raises(ValueError, match="is no duration"):
            seconds(bad)
    for parse, bad in ((whole_seconds, "0.5s"), (wei, "0.5 wei"), (size, "0.3 B")):
        with pytest.raises(ValueError, match="no whole number"):
            parse(bad)


@pytest.mark.parametrize("text", ["soon", "-1", "1234567", ""])
def test_what_is_no_finality_is_told_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="write latest, safe, finalized, or a number of confirmations"):
        ChainSettings(finality=text)
    assert ChainSettings(finality="12").finality == "12"


@pytest.mark.parametrize(
    ("name", "good", "bad", "sentence"),
    [
        (
            "explorer",
            "https://etherscan.io/{kind}/{id}",
            "https://etherscan.io/tx/{id}",
            "write a URL with {kind} and {id}",
        ),
        (
            "explorer",
            "http://127.0.0.1/{kind}?of={id}",
            "javascript:alert({kind}{id})",
            "write a URL with {kind} and {id}",
        ),
        ("playground", "openai/v1", "https://elsewhere.example/v1", "write a path below the page's own"),
        ("playground", "v1", "../v1", "write a path below the page's own"),
    ],
)
def test_where_the_page_leads_is_checked(name: str, good: str, bad: str, sentence: str) -> None:
    assert getattr(SequencerSettings(**{name: good}), name) == good
    with pytest.raises(ValueError, match=re.escape(sentence)):
        SequencerSettings(**{name: bad})


def test_the_settings_page_is_fresh() -> None:
    assert PAGE.read_text() == page()
