"""How games end, and what that pays: a conviction, a lost challenge, a bond that is freed."""

from __future__ import annotations

from dataclasses import replace

from rollup.claim import Address
from rollup.game.clock import Side
from rollup.game.dispute import Conviction, Dispute, Game, GameStatus, Instant
from rollup.game.moves import Reclaim, Rule, Timeout
from rollup.game.refusal import Reason, Refusal
from rollup.types import Timestamp

MAX_HELPERS = 8
"""Accounts other than the claimant that are noted in one game for the nodes that they opened."""


def won(dispute: Dispute, conviction: Conviction, now: Instant) -> Dispute:
    """The claim is invalid; the reward goes to the earliest challenge that was at the place before the proof was seen."""
    earliest, place = conviction.game, conviction.place
    noted = dispute.first.get(place, earliest)
    if noted < earliest and dispute.stands_at(noted, place) and dispute.games[noted].committed_in < now.block:
        earliest = noted
    payments = [(dispute.games[earliest].challenger, dispute.parameters.reward)]
    return _convict(dispute, conviction, payments)


def _convict(dispute: Dispute, conviction: Conviction, payments: list[tuple[Address, int]]) -> Dispute:
    number = conviction.game
    game = dispute.games[number]
    ledger = dispute.ledger.release_challenge(game.challenger, dispute.parameters.challenge_bond)
    ledger = ledger.forfeit(dispute.claimant, dispute.parameters.claim_bond, payments)
    won = dispute.with_game(number, replace(game, status=GameStatus.WON))
    return replace(won, ledger=ledger, conviction=conviction)


def compensation(dispute: Dispute, game: Game) -> list[Address]:
    """Who is due a fee when the challenger loses: for each opened node, and for a trace root that was given on dispute.

    The claimant comes first, then others in the order of what they opened. Of those at most ``MAX_HELPERS`` are noted, one after
    the other, so that nobody can make an ending dear: what else was opened is the claimant's.
    """
    opening = dispute.opening_of(game)
    mine, helped, noted = 0, list[Address](), list[Address]()
    for by in (*game.openers, *([opening.by] if opening else [])):
        if by != dispute.claimant and by not in noted[-1:] and len(noted) < MAX_HELPERS:
            noted.append(by)
        if by in noted[-1:]:
            helped.append(by)
        else:
            mine += 1
    if dispute.root_by is not None:
        mine += dispute.root_by == dispute.claimant
        helped += [dispute.root_by] if dispute.root_by != dispute.claimant else []
    return [dispute.claimant] * mine + helped


def _lose(dispute: Dispute, number: int, collector: Address) -> Dispute:
    game, terms = dispute.games[number], dispute.parameters
    rest = terms.challenge_bond - terms.collect_fee
    payments = [(collector, terms.collect_fee)]
    for who in compensation(dispute, game):
        payments.append((who, min(terms.move_fee, rest)))
        rest -= payments[-1][1]
    ledger = dispute.ledger.forfeit(game.challenger, terms.challenge_bond, payments)
    return replace(dispute.with_game(number, replace(game, status=GameStatus.LOST)), ledger=ledger)


def timeout(dispute: Dispute, move: Timeout, now: Instant) -> Dispute:
    terms, before = dispute.parameters, dispute
    for number in move.games:
        if not dispute.is_live(number):
            continue
        game = dispute.games[number]
        loser = dispute.expired(game, now.time)
        if loser is Side.DEFENDER:
            payments = [(game.challenger, terms.reward), (move.by, terms.collect_fee)]
            dispute = _convict(dispute, Conviction(Rule.TIMEOUT, number, game.position), payments)
        elif loser is Side.CHALLENGER:
            dispute = _lose(dispute, number, move.by)
    if dispute is before:
        raise Refusal(
            Reason.NOTHING_TO_COLLECT, f"no clock of games {list(move.games)} has run out, or they have ended; wait"
        )
    return dispute


def reclaim(dispute: Dispute, move: Reclaim, now: Instant) -> Dispute:
    before = dispute
    for number in move.games:
        if dispute.conviction is None or not 0 <= number < len(dispute.games):
            continue
        game = dispute.games[number]
        if game.status is GameStatus.OPEN:
            ledger = dispute.ledger.release_challenge(game.challenger, dispute.parameters.challenge_bond)
            dispute = replace(dispute, ledger=ledger).with_game(number, replace(game, status=GameStatus.RECLAIMED))
    if dispute is before:
        raise Refusal(
            Reason.NOTHING_TO_RECLAIM, f"no other game's conviction ended games {list(move.games)}; play them on"
        )
    return dispute


def release(dispute: Dispute, now: Timestamp) -> Dispute:
    """Free the claimant's bond of a final claim, once."""
    if not dispute.is_final(now):
        raise Refusal(Reason.NOT_FINAL, "the claim is not final; wait for the end of its challenge period and games")
    if dispute.released:
        raise Refusal(Reason.ALREADY_RELEASED, "the claim's bond was released before; withdraw it from the balance")
    ledger = dispute.ledger.release_claim(dispute.claimant, dispute.parameters.claim_bond)
    return replace(dispute, released=True, ledger=ledger)
