"""What L1 says in the end. Every check raises AssertionError for a promise that was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rollup.claim import Address
from rollup.l1.client import L1Client
from rollup.l1.events import (
    BondForfeited,
    BondLocked,
    BondUnlocked,
    Challenged,
    ClaimPosted,
    Convicted,
    Deposited,
    Event,
    Funded,
    Paid,
    Released,
    Withdrawn,
)
from rollup.l1.requests.events import (
    CallbackDelivered,
    CallbackFailed,
    FeesWithdrawn,
    RequestAnswered,
    RequestCancelled,
    Requested,
    RequestRefunded,
)
from rollup.l1.requests.reads import earned
from rollup.settings import Parameters
from tests.campaigns.crash.asking import ALLOWED, Progress, Question
from tests.campaigns.crash.killer import SERVICES
from tests.campaigns.crash.scenario import Accepted
from tests.campaigns.network import REQUESTS, ProcessNetwork

T = TypeVar("T")

WHOSE = (BondLocked, BondUnlocked, BondForfeited, Deposited, Funded, Paid)


def of(events: Iterable[Event], kind: type[T]) -> list[T]:
    """The events of a kind."""
    return [event for event in events if isinstance(event, kind)]


def once(named: Iterable[T], what: str) -> set[T]:
    """All of them, none of which may be there twice."""
    counted = Counter(named)
    twice = [one for one, count in counted.items() if count > 1]
    assert not twice, f"{what} twice: {[one.hex() if isinstance(one, bytes) else one for one in twice[:3]]}"
    return set(counted)


def check_claims(events: Sequence[Event], accepted: Accepted) -> dict[str, int]:
    """Every claim that was accepted stands on L1 once; exactly the false ones are convicted, each in one game of an account."""
    posted = once((event.claim_id for event in of(events, ClaimPosted)), "posted")
    lost = accepted.all - posted
    assert not lost, f"accepted and lost: {[one.hex() for one in lost]}"
    games = once(((event.claim_id, event.challenger) for event in of(events, Challenged)), "challenged")
    convicted = {event.claim_id for event in of(events, Convicted)}
    escaped = accepted.false - convicted
    assert not escaped, f"false claims were not convicted: {[one.hex() for one in escaped]}"
    honest = convicted - accepted.false
    assert not honest, f"claims that are not known as false were convicted: {[one.hex() for one in honest]}"
    return {"claims": len(accepted.all), "posted": len(posted), "invalid": len(convicted), "games": len(games)}


def check_groups(events: Sequence[Event]) -> dict[str, int]:
    """Some claims were posted together."""
    sizes = Counter((event.batch, event.group) for event in of(events, ClaimPosted) if event.group is not None)
    several = [size for size in sizes.values() if size > 1]
    assert several, "no group has more than one claim; the campaign did not test groups"
    return {"groups": len(several), "claims_in_groups": sum(several), "largest_group": max(several)}


def check_bonds(events: Sequence[Event], terms: Parameters) -> dict[str, int]:
    """Every bond was freed or forfeited once, and whole: a claim's by its place, the others by their sums."""
    posted = {(event.batch, event.index): event for event in of(events, ClaimPosted)}
    convicted = {event.claim_id for event in of(events, Convicted)}
    freed = once(((event.batch, index) for event in of(events, Released) for index in event.indices), "released")
    owed = {place for place, event in posted.items() if event.claim_id not in convicted}
    assert freed == owed, f"released, or not, and should not, or should: {sorted(freed ^ owed)[:5]}"
    bonded = (*of(events, BondLocked), *of(events, BondUnlocked), *of(events, BondForfeited))
    for account in {event.account for event in bonded}:
        locked = sum(event.amount for event in of(events, BondLocked) if event.account == account)
        back = sum(event.amount for event in of(events, BondUnlocked) if event.account == account)
        gone = sum(event.amount for event in of(events, BondForfeited) if event.account == account)
        assert locked == back + gone, f"{account} locked {locked} wei, got {back} back and lost {gone}"
    locked = sum(event.amount for event in of(events, BondLocked))
    due = terms.claim_bond * len(posted) + terms.challenge_bond * len(of(events, Challenged))
    assert locked == due, f"bonds of claims and challenges are {due} wei, and {locked} were locked"
    return {"bonds_freed": len(freed), "bonds_lost": len(posted) - len(freed)}


def check_requests(
    events: Sequence[Event], asked: Mapping[bytes, Question], progress: Mapping[bytes, Progress], prover: Address
) -> dict[str, int]:
    """Every request ended as its kind may, was answered or refunded once, by one claim of the prover's."""
    made = once((event.request_id for event in of(events, Requested)), "made")
    assert made == set(asked), f"{len(made)} requests stand on L1, {len(asked)} were made"
    wrong = [
        f"{one.kind}: {progress[name].name}" for name, one in asked.items() if progress[name] not in ALLOWED[one.kind]
    ]
    assert not wrong, f"requests ended as they must not: {wrong}"
    answered = once((event.request_id for event in of(events, RequestAnswered)), "answered")
    refunded = once((event.request_id for event in of(events, RequestRefunded)), "refunded")
    assert not answered & refunded and answered | refunded == made, "a request was answered and refunded, or neither"
    mine = [event for event in of(events, ClaimPosted) if event.claim.claimant == prover]
    claimed = once((event.claim.request_id for event in mine if event.claim.request_id in made), "claimed")
    assert claimed == answered, "the prover's claims are not those of the requests that were answered"
    paid = {(event.request_id, event.claimant) for event in of(events, RequestAnswered)}
    assert paid == {(name, prover) for name in answered}, "somebody else than the prover was paid"
    told = once((event.request_id for event in of(events, CallbackDelivered)), "told")
    takers = {name for name in answered if progress[name] is Progress.ANSWERED}
    assert told == takers, "consumers that took their answers were not told"
    return {
        "requests": len(made),
        "answered": len(answered),
        "refunded": len(refunded),
        "cancelled": len(of(events, RequestCancelled)),
        "callbacks_that_failed": len(of(events, CallbackFailed)),
    }


@dataclass(frozen=True)
class Books:
    """Wei. ``held``: by the contract on the chain; by account what is free and earned, and locked; ``burned``."""

    held: int
    free: int
    locked: int
    burned: int


def check_ledger(events: Sequence[Event], books: Books) -> dict[str, str]:
    """What came in = what went out + what accounts have + bonds + what was burned; no bond is locked any more."""
    came = sum(event.amount for event in (*of(events, Deposited), *of(events, Funded)))
    went = sum(event.amount for event in of(events, Withdrawn))
    burnt = sum(event.burnt for event in of(events, BondForfeited))
    lost = sum(event.amount for event in of(events, BondForfeited))
    paid = sum(event.amount for event in of(events, Paid))
    assert lost == paid + burnt, f"{lost} wei of bonds were lost, {paid} paid to somebody and {burnt} burned"
    assert came - went == books.held, f"{came} wei came into the ledger and {went} left it, which holds {books.held}"
    known = books.free + books.locked + books.burned
    assert books.held == known, f"the ledger holds {books.held} wei and knows of {known}"
    assert books.burned == burnt, f"{burnt} wei of bonds were burned, and the ledger says {books.burned}"
    assert books.locked == 0, f"{books.locked} wei are still locked"
    return {"in_wei": str(came), "out_wei": str(went), "free_wei": str(books.free), "burned_wei": str(burnt)}


def check_escrow(
    events: Sequence[Event], asked: Mapping[bytes, Question], held: int, owed: Mapping[Address, int], prover: Address
) -> dict[str, str]:
    """Each answer earned its fee, each refund gave it back, and the contract holds exactly what was not taken out."""
    came = sum(event.request.fee for event in of(events, Requested))
    went = sum(event.amount for event in of(events, FeesWithdrawn))
    assert held == came - went == sum(owed.values()), f"{came} in, {went} out, {held} held, owed: {dict(owed)}"
    pay = sum(asked[event.request_id].request.fee for event in of(events, RequestAnswered))
    assert owed[prover] == pay, f"the answers are worth {pay} wei, the prover earned {owed[prover]}"
    return {"fees_in_wei": str(came), "fees_out_wei": str(went), "fees_earned_wei": str(pay)}


def check_moves(net: ProcessNetwork) -> dict[str, int]:
    """No account of ours had the same call mined twice, and both times do something.

    A call that did nothing, without an event, may be made again: in blocks that replace others, what frees the bonds of final claims may
    come before they are final.
    """
    senders = {net.node.signer(name).address.lower() for name in (*SERVICES, REQUESTS)}
    found: Counter[tuple[str, str]] = Counter()
    failed = idle = 0
    for transaction in transactions(net):
        if transaction["from"].lower() not in senders:
            continue
        if int(transaction["value"], 16) and len(transaction["input"]) <= 10:
            continue  # a deposit: two of the same amount are no move
        receipt = net.node.rpc("eth_getTransactionReceipt", transaction["hash"])
        if receipt["status"] != "0x1":
            failed += 1
        elif receipt["logs"]:
            found[transaction["from"], transaction["input"]] += 1
        else:
            idle += 1
    once(found.elements(), "sent")
    return {"moves": len(found), "idle_transactions": idle, "failed_transactions": failed}


def transactions(net: ProcessNetwork) -> Iterable[dict[str, Any]]:
    """All that were mined since the deployment."""
    for number in range(net.reader.first, net.node.height + 1):
        yield from net.node.rpc("eth_getBlockByNumber", hex(number), True)["transactions"]


def books_of(client: L1Client, accounts: Collection[Address]) -> Books:
    """The ledger's, of all accounts that it ever named."""
    free = sum(client.balance(account) + client.earnings(account) for account in accounts)
    locked = sum(client.locked(account) for account in accounts)
    return Books(client.chain.wei_of(client.address), free, locked, client.burned())


def verify(net: ProcessNetwork, accepted: Accepted, asked: Mapping[bytes, Question]) -> dict[str, int | str]:
    """Every check, and what they counted."""
    reader = net.reader
    prover, requester = net.node.signer("prover").address, net.node.signer("requester").address
    events = [logged.event for logged in reader.events(reader.first, reader.chain.height())]
    progress = {name: Progress(reader.ask_requests("progressOf", name)) for name in asked}
    accounts = {event.account for event in events if isinstance(event, WHOSE)}
    owed = {account: earned(reader, account) for account in (*accounts, requester)}
    assert reader.chain.wei_of(reader.game_address) == 0, "the game holds money"
    return {
        **check_claims(events, accepted),
        **check_groups(events),
        **check_bonds(events, net.terms),
        **check_requests(events, asked, progress, prover),
        **check_ledger(events, books_of(reader, accounts)),
        **check_escrow(events, asked, reader.chain.wei_of(reader.requests_address), owed, prover),
        **check_moves(net),
    }
