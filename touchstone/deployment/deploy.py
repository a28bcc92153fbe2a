"""Puts the contracts on a chain with the parameters of a file, unless these are dangerous."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rollup.errors import ChainError, SettingsError
from rollup.files import exists, require_writable
from rollup.l1.account.fees import FeePolicy
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.node.chain import Chain
from touchstone.deployment.dangers import dangers
from touchstone.deployment.guarantees import guarantees
from touchstone.deployment.parameters import DEVELOPMENT_CHAINS, Terms
from touchstone.services.l1 import connected, signer_of
from touchstone.settings.settings import DeploySettings


@dataclass(frozen=True)
class PlannedDeployment:
    """What would be deployed where. ``development``: no money is real, so that dangers are told and not refused."""

    terms: Terms
    chain: Chain
    output: Path
    development: bool

    @classmethod
    def make(cls, settings: DeploySettings, parameters: Path, output: Path, development: bool) -> PlannedDeployment:
        """Raises SettingsError for dangerous parameters, or a file that is in the way."""
        terms = Terms.load(parameters)
        fees = FeePolicy(cap=settings.fee_cap, priority=min(settings.priority_fee, settings.fee_cap))
        chain = connected(settings.rpc, fees, settings.timeout)
        plan = cls(terms, chain, output, development or chain.chain_id in DEVELOPMENT_CHAINS)
        plan._check()
        return plan

    def _check(self) -> None:
        wanted = self.terms.conditions.chain_id
        if wanted is not None and wanted != self.chain.chain_id:
            raise SettingsError(
                f"the parameters are for chain {wanted}, the endpoint's is {self.chain.chain_id}; name that chain's endpoint"
            )
        if not self.development and (found := list(dangers(self.terms))):
            raise SettingsError(
                "these parameters are dangerous:\n" + "\n".join(f"  - {sentence}" for sentence in found)
            )

    def existing(self) -> Deployment | None:
        """What the output file names, if it is what would be deployed: deploying twice is deploying once.

        Raises SettingsError if it is something else; on a development chain that is gone, and is overwritten.
        """
        if not exists(self.output):
            return None
        try:
            found = Deployment.load(self.output)
            found.client(self.chain)
            same = found.parameters == self.terms.parameters
        except ChainError as error:
            if self.development:
                return None
            raise SettingsError(f"{self.output} is in the way: {error}; move it away to deploy anew") from None
        if not same and not self.development:
            raise SettingsError(
                f"{self.output} names a deployment with other parameters; move it away, or name another file by --output"
            )
        return found if same else None

    def words(self) -> str:
        """The guarantees, and on a development chain what would be dangerous elsewhere."""
        text = guarantees(self.terms)
        found = list(dangers(self.terms)) if self.development else []
        if found:
            text += "\nNot for real money\n" + "\n".join(f"  {sentence}." for sentence in found)
        return text

    def deploy(self, settings: DeploySettings, say: Callable[[str], None]) -> Deployment:
        """Send the transactions and write the file. Raises Reverted, ChainError or SettingsError."""
        signer = signer_of(settings)
        # Before the money is spent: what was deployed must not be lost because its file can't be written.
        if not self.output.parent.is_dir():
            raise SettingsError(f"the folder {self.output.parent} does not exist; create it, or name another --output")
        require_writable(self.output)
        say(f"deploying to chain {self.chain.chain_id} from {signer.address} ...")
        deployment = Deployment.of(L1Client.deploy(self.chain, signer, self.terms.parameters))
        deployment.save(self.output)
        return deployment
