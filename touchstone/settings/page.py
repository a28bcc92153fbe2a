"""Writes ``docs/settings.md`` from the settings' own classes: ``python -m touchstone.settings.page [--check]``."""

from __future__ import annotations

import sys
from pathlib import Path

from rollup.generated import settle
from touchstone.settings.endpoint import EndpointSettings, KeyringSettings
from touchstone.settings.section import Section, settings_of
from touchstone.settings.settings import (
    AdminSettings,
    ChainSettings,
    DeploySettings,
    LogSettings,
    ProverSettings,
    SequencerSettings,
    UserSettings,
    WatchSettings,
)

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "settings.md"

COMMANDS: dict[str, type[Section]] = {
    "touchstone sequencer": SequencerSettings,
    "touchstone prover": ProverSettings,
    "touchstone watch": WatchSettings,
    "touchstone deploy": DeploySettings,
    "touchstone admin": AdminSettings,
    "touchstone keys": KeyringSettings,
    "touchstone infer, touchstone claims": UserSettings,
}

SHARED: dict[str, type[Section]] = {
    "The chain": ChainSettings,
    "The log": LogSettings,
    "The OpenAI-compatible endpoint (prover)": EndpointSettings,
}

HEAD = """# Settings

Generated from `touchstone/settings/` by `python -m touchstone.settings.page`; do not edit.

A process takes a setting from the first place that has it: a flag, a `TOUCHSTONE_*` variable, the TOML file that `--config FILE` or
`TOUCHSTONE_CONFIG` names, the default. One configuration file may serve all processes: each reads its own tables. An unknown table or key
is an error. An empty variable counts as not set. Lists are separated by commas in a variable and are arrays in TOML; their flag may be
given several times.

A secret has neither a flag nor a key in the file, because others can read both. Give it by its variable, or put it into a file and name
that file by the flag, variable or key that ends in *file*. No secret is ever shown. Of a URL, which may contain a key, only the host is.

`TOUCHSTONE_NATIVE` is of every process and has no other place: `0` turns compiled code off; trees are then hashed in Python and products
computed by XLA, several times slower, to the same bits. The log of a prover or watcher says which hashes (*hashing*), and warns if compiled
code can't be loaded. `TOUCHSTONE_KERNELS` chooses other kernels for products than the machine's best, to measure them: `portable`,
`avx2`, `avx512` or `neon`.

Durations: `90s`, `15min`, `12h`, `7d`. Amounts: `0.1 ether`, `30 gwei`, `1000 wei`. Sizes: `96 KiB`, `64 MiB`.

```toml
[chain]
rpc = "http://127.0.0.1:8545"
deployment = "deployment.json"
key_file = "/run/secrets/sequencer.key"

[sequencer]
port = 8080
database = "postgresql+psycopg://touchstone@127.0.0.1/touchstone"
database_password_file = "/run/secrets/database"
batch_age = "10s"

[watch]
mode = "challenge"
traces = ["http://127.0.0.1:8082"]
```
"""


def _table(section: type[Section], own_only: bool) -> str:
    rows = ["| flag | variable | key | default | meaning |", "|---|---|---|---|---|"]
    for one in settings_of(section):
        if own_only and one.path:
            continue
        flag = "" if one.secret else f"`{one.flag}`"
        key = "" if one.secret else f"`{one.place}`"
        default = "" if one.default is None else f"`{one.default}`"
        rows.append(f"| {flag} | `{one.env}` | {key} | {default} | {one.help} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """The whole document."""
    parts = [HEAD]
    for title, section in SHARED.items():
        parts.append(f"\n## {title}\n\n{section.__doc__}\n\n{_table(section, own_only=True)}")
    for command, section in COMMANDS.items():
        shares = any(one.path for one in settings_of(section))
        also = "Also all settings of the chain and of the log.\n\n" if shares else ""
        parts.append(f"\n## `{command}`\n\n{also}{_table(section, own_only=True)}")
    return "".join(parts)


if __name__ == "__main__":
    sys.exit(settle(PAGE, page(), "python -m touchstone.settings.page", sys.argv[1:]))
