"""Which chain, which contracts, which terms."""

from __future__ import annotations

from fastapi import APIRouter

from rollup import wire
from sequencer.api import parts as shared
from sequencer.api.documents import NetworkView, ParametersView
from sequencer.api.parts import Parts


def network_routes(parts: Parts) -> APIRouter:
    routes = shared.router("network")

    @routes.get("/network", operation_id="getNetwork", summary="The deployment that claims here are for")
    def get_network() -> NetworkView:
        client = parts.client
        return NetworkView(
            chain_id=client.domain.chain_id,
            contract=client.domain.contract,
            game=client.game_address,
            block=parts.block,
            parameters=ParametersView(**wire.parameters_json(client.parameters)),
        )

    return routes
