"""One fault each, put into a contract, the pure game or a player, with the test that must notice: ``make mutants``.

``invariant``: its number in SECURITY.md. A test that no fault makes fail guards nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

PROPERTIES = "tests/rollup/game/test_properties.py::test_what_must_always_hold_holds_in_every_world"
VECTORS = "tests/rollup/game/test_vectors.py::test_the_pure_game_gives_what_the_vector_says"
CONTRACTS = "tests/e2e/test_game_vectors.py::test_the_contracts_give_what_the_vector_says"
FLOOD = "tests/rollup/game/test_flood.py::test_a_watcher_that_opens_one_game_a_spacing_challenges_every_lie_of_a_flood"

BUNDLE = "tests/challenger/test_bundle.py"

GAME = "rollup/game/game.py"
EFFECTS = "rollup/game/effects.py"
ELEMENTS = "rollup/game/elements.py"
ENDINGS = "rollup/game/endings.py"
STATE = "rollup/game/dispute.py"
CLOCK = "rollup/game/clock.py"
LEDGER = "rollup/game/ledger.py"
STOPPING = "rollup/game/stopping.py"
ACCUSATION = "challenger/play/accusation.py"
INSIDE = "challenger/play/inside.py"
GAMES = "challenger/state/games.py"
SOURCES = "contracts/src/"
ENDPOINT = "tests/challenger/test_endpoint.py::"


@dataclass(frozen=True)
class Mutant:
    """``old`` occurs once in ``file`` and becomes ``new``; ``test`` (with its parameters, as pytest names them) must fail."""

    invariant: int
    says: str
    file: str
    old: str
    new: str
    test: str

    @property
    def is_solidity(self) -> bool:
        return self.file.endswith(".sol")


def vector(name: str) -> str:
    return f"{VECTORS}[{name}]"


def contracts(name: str) -> str:
    return f"{CONTRACTS}[{name}]"


def world(kind: str) -> str:
    return f"{PROPERTIES}[{kind}]"


MUTANTS = (
    # 1. One honest challenger convicts a false claim.
    Mutant(
        1,
        "the challenger goes to the rightmost difference",
        ACCUSATION,
        "if left_node != own.node(left):",
        "if right_node == own.node(right):",
        world("consistent-True-a part-Rule.PART"),
    ),
    Mutant(
        1,
        "the challenger never disputes an epilogue",
        INSIDE,
        "        if said == found:\n",
        "        if said == found and not given:\n",
        world("step-True-an epilogue-Rule.EPILOGUE"),
    ),
    Mutant(
        1,
        "partial results need not combine to what is in question",
        ELEMENTS,
        "if question.disputed is not None and combine(",
        "if question.level > 64 and combine(",
        vector("silence_inside_an_element"),
    ),
    Mutant(
        1,
        "partial results need not combine to what is in question",
        SOURCES + "Elements.sol",
        "if (value != question.value || position != question.position) revert",
        "if (question.level > 64 && value != question.value) revert",
        contracts("silence_inside_an_element"),
    ),
    Mutant(
        1,
        "a claimant that is silent never loses",
        SOURCES + "libraries/Clock.sol",
        "if (byDefender > Duration.unwrap(clocks.defender)) expired = Side.Defender;",
        "if (byDefender > type(uint32).max) expired = Side.Defender;",
        contracts("silent_defender"),
    ),
    Mutant(
        1,
        "what an index scatters is taken for leaps of whole parts, so that its leaves are counted too low",
        "rollup/audit/leaves.py",
        "(cut.grid.get(var, 1) if var in walked else 1)",
        "cut.grid.get(var, 1)",
        "tests/rollup/test_audit.py::test_no_descriptor_costs_more_than_a_bound_says",
    ),
    Mutant(
        1,
        "what a loop does in its first iteration is taken for what it does in all of them",
        "rollup/audit/intervals.py",
        "for number in range(_ROUNDS + _WIDENED):",
        "for number in range(1):",
        "tests/rollup/test_audit_loops.py::test_what_is_proven_of_a_loop_holds_in_all_of_its_iterations[0]",
    ),
    Mutant(
        1,
        "a game is read from whichever block a machine is at",
        GAMES,
        "info = self.client.game(game, l1.head)",
        "info = self.client.game(game)",
        ENDPOINT + "test_one_late_answer_about_a_game_is_not_kept[stateOf]",
    ),
    Mutant(
        1,
        "an opening that is mined again at its old height is no news",
        GAMES,
        "l1.preimages.noted[known.node]",
        "l1.preimages.blocks.get(known.node)",
        ENDPOINT + "test_an_opening_that_is_mined_again_at_its_old_height_is_news",
    ),
    Mutant(
        1,
        "a claim is given up once a node refused a proof",
        "challenger/play/simulation.py",
        "REFUSALS = 10",
        "REFUSALS = 1",
        ENDPOINT + "test_a_node_that_refuses_once_for_reasons_of_its_own_is_asked_again[Behaviour.PUBLISHES]",
    ),
    Mutant(
        1,
        "gas for openings that can't be paid is set aside all the same",
        "challenger/sending/bundle.py",
        "return missing <= max(0, wallet - self._reserve(moves))",
        "return missing <= max(0, wallet - self._reserve(due))",
        f"{BUNDLE}::test_attack_a_flood_of_lies_keeps_no_poor_watcher_from_opening_the_games_that_it_can_pay[3]",
    ),
    Mutant(
        1,
        "no game is opened that can't be paid beside all other moves",
        "challenger/sending/bundle.py",
        "last = opening[0] if not count and earned + wallet > bond else None",
        "last = None",
        f"{BUNDLE}::test_an_opening_whose_bond_can_be_paid_is_made_behind_moves_whose_gas_at_its_dearest_can_not",
    ),
    Mutant(
        1,
        "what the game adds to prove has the price of an ordinary dispute",
        "rollup/audit/prices.py",
        "prove: int = 97_000",
        "prove: int = 95_000",
        "tests/contracts/test_prices.py::test_the_game_adds_no_more_to_a_proof_than_its_price_whatever_others_did[prove]",
    ),
    Mutant(
        1,
        "what the game adds to settle has the price of an ordinary dispute",
        "rollup/audit/prices.py",
        "settle: int = 107_000",
        "settle: int = 105_000",
        "tests/contracts/test_prices.py::test_the_game_adds_no_more_to_a_proof_than_its_price_whatever_others_did[settle]",
    ),
    Mutant(
        1,
        "what the game adds to descend has the price of an ordinary dispute",
        "rollup/audit/prices.py",
        "descend: int = 115_000",
        "descend: int = 113_000",
        "tests/contracts/test_prices.py::test_the_game_adds_no_more_to_a_proof_than_its_price_whatever_others_did[descend]",
    ),
    # 2. An honest claimant never loses.
    Mutant(
        2,
        "time goes on for the defender after it has answered",
        CLOCK,
        "answered = now if opened is None else max(self.since, opened)",
        "answered = now",
        world("none-True--final"),
    ),
    Mutant(
        2,
        "equality convicts",
        SOURCES + "Verdicts.sol",
        "PROVER.step(disputed, witness);\n        if (claimed == computed) revert",
        "PROVER.step(disputed, witness);\n        if (claimed == computed && claimed > computed) revert",
        contracts("honest_claim_has_no_mismatch"),
    ),
    Mutant(
        2,
        "a right partial result convicts",
        SOURCES + "Verdicts.sol",
        "if (value == right && position == where) revert NoMismatch(question.place);",
        "",
        contracts("an_honest_claimant_inside_an_element"),
    ),
    Mutant(
        2,
        "anybody answers inside an element in the claimant's place",
        SOURCES + "Elements.sol",
        "if (msg.sender != _disputes[claimId].claimant) revert NotClaimant(claimId);",
        "",
        contracts("silence_inside_an_element"),
    ),
    Mutant(
        2,
        "anybody answers inside an element in the claimant's place",
        GAME,
        "if row.who is Who.CLAIMANT and (",
        "if row.who is None and (",
        vector("silence_inside_an_element"),
    ),
    Mutant(
        2,
        "whose turn it is does not matter",
        GAME,
        "if row.turn is not None and dispute.turn(game) is not row.turn:",
        "if row.turn is Side.DEFENDER:",
        vector("refused_selections"),
    ),
    Mutant(
        2,
        "a lost challenge pays the claimant nothing for its answers",
        ENDINGS,
        "payments.append((who, min(terms.move_fee, rest)))",
        "payments.append((who, 0))",
        vector("an_honest_claimant_inside_an_element"),
    ),
    Mutant(
        2,
        "a challenger goes down one level at a time, each of which has to be answered",
        SOURCES + "DisputeGame.sol",
        "bool tooHigh = levels < (left < ARITY ? left : ARITY) && depth != dispute.traceDepth;",
        "bool tooHigh = left > 1000;",
        contracts("refused_selections"),
    ),
    Mutant(
        2,
        "what collects is sent in front of answers, in one transaction",
        "challenger/sending/bundle.py",
        "return self.call.name in COLLECTIONS",
        "return self.call.name in ()",
        f"{BUNDLE}::test_collections_go_out_behind_the_answers_and_one_with_too_low_a_price_starves_none_of_them",
    ),
    Mutant(
        2,
        "a collection is priced by how many it pays most of the time",
        "challenger/sending/prices.py",
        '"timeout": 380_000,',
        '"timeout": 340_000,',
        "tests/challenger/test_prices.py::test_the_dearest_ending_takes_no_more_than_its_price_before_anything_is_given_back[1]",
    ),
    # 3. Losing a challenge finalises nothing.
    Mutant(
        3,
        "a lost challenge ends all games",
        SOURCES + "Games.sol",
        "dispute.openGames -= 1;",
        "dispute.openGames = 0;",
        contracts("a_claim_stops_the_clock_once"),
    ),
    Mutant(
        3,
        "a lost challenge makes the claim final",
        STATE,
        "        over = self.clock.is_over(self.closes_at, now)\n",
        "        over = self.clock.is_over(self.closes_at, now) or bool(self.games)\n",
        vector("losing_to_oneself_protects_nothing"),
    ),
    # 4. Every second charges one clock; a deadline belongs to one side.
    Mutant(
        4,
        "a move at the deadline is too late",
        CLOCK,
        "if at.defender < 0:",
        "if at.defender <= 0:",
        vector("silent_defender"),
    ),
    Mutant(
        4,
        "a move at the deadline is too late",
        SOURCES + "libraries/Clock.sol",
        "else if (byChallenger > Duration.unwrap(clocks.challenger))",
        "else if (byChallenger >= Duration.unwrap(clocks.challenger))",
        contracts("silent_challenger"),
    ),
    Mutant(
        4,
        "an expired side moves as long as nobody collects",
        SOURCES + "Games.sol",
        "if (expired != Side.None) revert ClockExpired(gameId, expired);",
        "",
        contracts("expired_challenger_cannot_move"),
    ),
    Mutant(
        4,
        "a game goes on after the claim's conviction",
        STATE,
        "and self.conviction is None and self.games[number].status",
        "and self.games[number].status",
        vector("one_conviction_ends_every_game"),
    ),
    # 5. Operands are located by the contract; no byte of a witness is surplus.
    Mutant(
        5,
        "leaves of a witness that nothing reads are passed over",
        SOURCES + "libraries/Witness.sol",
        "if (store.unread != 0) revert LeavesUnread(store.unread);",
        "",
        "tests/lockstep/test_lockstep.py::test_tampered_witness_never_convicts[surplus_leaf]",
    ),
    Mutant(
        5,
        "a tree of a witness need not have the root of the trace",
        SOURCES + "libraries/Witness.sol",
        "if (given != root) revert RootDiffers",
        "if (given == 0) revert RootDiffers",
        "tests/lockstep/test_lockstep.py::test_tampered_witness_never_convicts[flipped_bit]",
    ),
    # 6. Money in is money out and burned.
    Mutant(
        6,
        "more is burned than was taken",
        LEDGER,
        "burned=self.burned + bond - paid",
        "burned=self.burned + bond",
        vector("direct_proof"),
    ),
    Mutant(
        6,
        "more is burned than was taken",
        SOURCES + "Ledger.sol",
        "burned += bond - paid;",
        "burned += bond;",
        contracts("direct_proof"),
    ),
    Mutant(
        6,
        "fees beyond a challenger's bond stop a timeout",
        ENDINGS,
        "min(terms.move_fee, rest)",
        "terms.move_fee",
        "tests/rollup/game/test_game.py::test_fees_never_exceed_the_challengers_bond",
    ),
    Mutant(
        6,
        "money for claims leaves at once",
        SOURCES + "Ledger.sol",
        "announced.due.isNever() || announced.due > currentTime()",
        "announced.due.isNever()",
        contracts("two_kinds_of_money"),
    ),
    # 7. Nothing is counted twice.
    Mutant(
        7,
        "a bond is released twice",
        ENDINGS,
        "    if dispute.released:\n",
        "    if dispute.released and now < 0:\n",
        vector("silent_challenger"),
    ),
    Mutant(
        7,
        "a bond is released twice",
        SOURCES + "RollupChain.sol",
        "if (isReleased(inclusion.batchId, inclusion.index)) revert AlreadyReleased(claimId);",
        "",
        contracts("silent_challenger"),
    ),
    Mutant(
        7,
        "an answer is counted again when it is given again",
        EFFECTS,
        "    if (node, levels) in dispute.opened:\n",
        "    if False:\n",
        vector("refused_inside_an_element"),
    ),
    # 8. A copied proof earns its copier nothing.
    Mutant(
        8,
        "a commitment counts in its own block",
        EFFECTS,
        "if not reached or (game.committed_in >= now.block and not stands):",
        "if not reached or (game.committed_in > now.block and not stands):",
        vector("nobody_comes_in_front_of_a_pending_proof"),
    ),
    Mutant(
        8,
        "a commitment counts in its own block",
        SOURCES + "Games.sol",
        "if (!reached || game.committedAt >= block.number) revert",
        "if (!reached || game.committedAt > block.number) revert",
        contracts("nobody_comes_in_front_of_a_pending_proof"),
    ),
    Mutant(
        8,
        "the reward goes to whoever sends the proof",
        SOURCES + "Games.sol",
        "silent ? ref.challenger : _firstAt(ref, dispute, place)",
        "ref.challenger",
        contracts("the_earliest_challenge_is_rewarded"),
    ),
    Mutant(
        8,
        "a program without ops is registered",
        SOURCES + "libraries/Header.sol",
        "model.values <= model.inputs.length",
        "model.values < model.inputs.length",
        "tests/e2e/test_attacks.py::test_a_program_without_ops_is_not_registered",
    ),
    # 9. A watcher checks the program's root, and does nothing while its node lags.
    Mutant(
        9,
        "a watcher acts while its node is behind",
        "challenger/watch/guard.py",
        "if height < head.number:",
        "if height < 0:",
        "tests/challenger/test_watcher.py::test_nothing_is_done_while_the_node_is_behind_what_it_said_before",
    ),
    Mutant(
        9,
        "whatever program a sequencer gives is watched under the id that was asked for",
        "rollup/archive.py",
        "if expected is not None and program.id != expected:",
        "if expected is not None and program.id != expected and not expected:",
        "tests/challenger/test_service.py::test_a_program_of_another_id_is_refused_and_its_claims_are_an_alert",
    ),
    # 10. A process that is killed loses nothing.
    Mutant(
        10,
        "an accepted claim is written down when the machine finds time for it",
        "sequencer/store/database.py",
        '"synchronous=FULL"',
        '"synchronous=OFF"',
        "tests/sequencer/test_store.py::test_sqlite_promises_to_the_disk",
    ),
    Mutant(
        10,
        "a watcher that starts again has forgotten what it committed to",
        "challenger/play/challenger_player.py",
        'return self.client.derive(b"salt" + claim_id',
        'return self.client.derive(id(self).to_bytes(8, "big") + claim_id',
        "tests/challenger/test_reorg.py::test_a_watcher_that_starts_again_proves_what_it_committed_to",
    ),
    # 11. Bad input is named and changes nothing.
    Mutant(
        11,
        "an account that is mistyped is taken",
        "rollup/wire.py",
        "if value != account and digits not in (digits.lower(), digits.upper()):",
        "if not value:",
        "tests/rollup/test_documents.py::test_a_bad_field_of_a_claim_is_named",
    ),
    Mutant(
        11,
        "a descriptor may add a variable to a dimension twice",
        "rollup/audit/canonical.py",
        "if (dimension, var) == after:",
        "if (dimension, var) is after:",
        "tests/rollup/test_audit.py::test_only_the_canonical_encoding_is_well_formed",
    ),
    # 12. The challenge period's clock.
    Mutant(
        12,
        "every game stops the clock",
        EFFECTS,
        "    if not dispute.games:\n        clock = clock.pause",
        "    if True:\n        clock = clock.pause",
        vector("a_claim_stops_the_clock_once"),
    ),
    Mutant(
        12,
        "every game stops the clock",
        SOURCES + "RollupChain.sol",
        "        if (isFirst) {\n            batches",
        "        if (isFirst || bond != 0) {\n            batches",
        contracts("a_claim_stops_the_clock_once"),
    ),
    Mutant(
        12,
        "stops do not queue up",
        STOPPING,
        "return StoppingClock(Timestamp(max(now, self.resumes_at) + spacing), Duration(self.stopped + spacing))",
        "return StoppingClock(Timestamp(now + spacing), Duration(self.stopped + spacing))",
        "tests/rollup/game/test_stopping.py::test_stops_queue_up_behind_one_another",
    ),
    Mutant(
        12,
        "the clock goes on while it is stopped",
        STOPPING,
        "return Timestamp(max(now, self.resumes_at) - self.stopped)",
        "return Timestamp(now)",
        FLOOD,
    ),
    Mutant(
        12,
        "the clock goes on while it is stopped",
        SOURCES + "libraries/StoppingClock.sol",
        "latest(time, stops.resumesAt)) - stops.stopped",
        "time) - 0 * stops.stopped",
        contracts("last_second_of_the_window"),
    ),
)
"""In the order of SECURITY.md."""
