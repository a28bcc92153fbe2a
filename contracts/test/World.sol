// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DisputeGame} from "../src/DisputeGame.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {IOneStepProver} from "../src/interfaces/IOneStepProver.sol";
import {Claim, Inclusion} from "../src/types/Claim.sol";
import {Game, GameRef, Move, Rule} from "../src/types/Dispute.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {ClaimId, GameId, ModelId} from "../src/types/Ids.sol";
import {Params} from "../src/types/Params.sol";
import {Duration} from "../src/types/Time.sol";
import {Base} from "./Base.sol";
import {Groups, Posting} from "./Groups.sol";
import {ToyProver} from "./ToyProver.sol";
import {Trace, Traces} from "./Trace.sol";

/// @dev A chain with two models of one toy program (trace with the claim, trace on dispute), a claimant, two challengers
///      and a bystander.
abstract contract World is Base {
    using Traces for Trace;

    uint32 internal constant WINDOW = 1000;
    uint32 internal constant CLOCK = 100;
    uint32 internal constant SPACING = 7;
    uint32 internal constant DELAY = 50;
    uint8 internal constant ARITY = 2;
    uint128 internal constant CLAIM_BOND = 100 ether;
    uint128 internal constant CHALLENGE_BOND = 10 ether;
    uint128 internal constant REWARD = 30 ether;
    uint128 internal constant MOVE_FEE = 2 ether;
    uint128 internal constant COLLECT_FEE = 1 ether;
    uint256 internal constant CLAIMANT_KEY = 0xc1a1;

    address internal claimant = VM.addr(CLAIMANT_KEY);
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);
    address internal constant EVE = address(0xe5e);

    RollupChain internal chain;
    DisputeGame internal game;
    ModelId internal model;
    ModelId internal lazyModel;
    uint256 internal nextNonce = 7;
    /// @dev Kept here because an optimizer may take `block.timestamp` for a constant of the transaction.
    uint256 internal time = 1_700_000_000;
    uint256 internal height = 100;
    /// @dev What names each game; the trace root is zero if the claim came without one.
    mapping(GameId gameId => GameRef ref) private _refs;

    /// @dev A claim on L1 with all that a player needs.
    struct Posted {
        Claim claim;
        ClaimId id;
        Inclusion inclusion;
        Trace trace;
    }

    function setUp() public virtual {
        VM.warp(time);
        VM.roll(height);
        chain = deployed(params(), new ToyProver());
        game = DisputeGame(address(chain.game()));
        model = chain.registerModel(header(0), abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(2))));
        lazyModel = chain.registerModel(header(1), abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(2))));
        deposit(claimant, 1000 ether);
        fund(ALICE, 100 ether);
        fund(BOB, 100 ether);
    }

    /// @dev The contracts as they are shipped. `make check` finds artifacts that are not of these sources.
    function deployed(Params memory terms, IOneStepProver prover) internal returns (RollupChain) {
        return deployedFor(terms, gameFor(terms, prover));
    }

    /// @dev A game for the chain that is deployed next.
    function gameFor(Params memory terms, IOneStepProver prover) internal returns (DisputeGame) {
        address next = VM.computeCreateAddress(address(this), VM.getNonce(address(this)) + 1);
        return DisputeGame(VM.deployCode("artifacts/DisputeGame.json", abi.encode(terms, prover, next)));
    }

    function deployedFor(Params memory terms, DisputeGame bound) internal returns (RollupChain) {
        return RollupChain(VM.deployCode("artifacts/RollupChain.json", abi.encode(terms, bound)));
    }

    function params() internal pure returns (Params memory) {
        return Params({
            window: Duration.wrap(WINDOW),
            clock: Duration.wrap(CLOCK),
            spacing: Duration.wrap(SPACING),
            withdrawalDelay: Duration.wrap(DELAY),
            arity: ARITY,
            claimBond: CLAIM_BOND,
            challengeBond: CHALLENGE_BOND,
            reward: REWARD,
            moveFee: MOVE_FEE,
            collectFee: COLLECT_FEE
        });
    }

    /// @dev Inputs: i8[1500], i16[2, 5]; outputs: value 4 as i8[100], value 3 as i32[5].
    function header(uint8 policy) internal pure returns (bytes memory) {
        bytes memory inputs = abi.encodePacked(hex"02", hex"000701", uint32(1500), hex"010702", uint32(2), uint32(5));
        bytes memory outputs =
            abi.encodePacked(hex"02", uint32(4), hex"000701", uint32(100), uint32(3), hex"020701", uint32(5));
        return abi.encodePacked(uint16(2), policy, uint8(3), uint8(2), uint32(5), inputs, outputs);
    }

    /// @dev Money for claims.
    function deposit(address account, uint256 amount) internal {
        VM.deal(address(this), amount);
        chain.depositFor{value: amount}(account);
    }

    /// @dev Money for challenges.
    function fund(address account, uint256 amount) internal {
        VM.deal(account, amount);
        VM.prank(account);
        chain.fund{value: amount}();
    }

    /// @dev A claim whose input and output are those of its trace.
    function claimOf(ModelId modelId, Trace memory trace) internal returns (Claim memory claim) {
        claim.modelId = modelId;
        claim.claimant = claimant;
        claim.nonce = nextNonce++;
        claim.validUntil = uint64(time + 10);
        claim.inputRoot = sha256(abi.encodePacked(hex"01", trace.entry(0), trace.entry(1)));
        claim.outputRoot = sha256(abi.encodePacked(hex"01", trace.entry(4), trace.entry(3)));
        if (ModelId.unwrap(modelId) == ModelId.unwrap(model)) claim.traceRoot = trace.root();
    }

    function signed(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function postingOf(Claim memory claim, Trace memory trace) internal view returns (Posting memory posting) {
        posting.claim = claim;
        posting.signature = signed(CLAIMANT_KEY, ClaimId.unwrap(chain.claimIdOf(claim)));
        posting.input = abi.encodePacked(trace.tensor(0), trace.tensor(1));
        posting.output = abi.encodePacked(trace.tensor(4), trace.tensor(3));
    }

    /// @dev Posts the claim alone in a batch; `trace` gives the bytes.
    function post(Claim memory claim, Trace memory trace) internal returns (Posted memory posted) {
        Posting[] memory postings = new Posting[](1);
        postings[0] = postingOf(claim, trace);
        uint256 batchId = chain.postBatch(Groups.single(postings));
        return Posted(claim, chain.claimIdOf(claim), Inclusion(batchId, 0, new bytes32[](0)), trace);
    }

    function post(ModelId modelId, Trace memory trace) internal returns (Posted memory) {
        return post(claimOf(modelId, trace), trace);
    }

    function challenge(address challenger, Posted memory posted, bytes32 commitment) internal returns (GameId gameId) {
        VM.prank(challenger);
        gameId = game.challenge(posted.claim, posted.inclusion, commitment);
        note(gameId, posted.id, posted.claim.traceRoot, challenger);
    }

    /// @dev Keeps what names a game that was just opened (there is none if the test expected a refusal).
    function note(GameId gameId, ClaimId claimId, bytes32 traceRoot, address challenger) internal {
        uint32 games = game.disputeOf(claimId).games;
        if (games != 0) _refs[gameId] = GameRef(claimId, traceRoot, challenger, games - 1);
    }

    /// @dev What names the game now. (It asks the game only about claims that came without a trace root, so that elsewhere
    ///      a cheat code for the next call is not used up by it.)
    function refOf(GameId gameId) internal view returns (GameRef memory ref) {
        ref = _refs[gameId];
        if (ref.traceRoot == 0) ref.traceRoot = game.disputeOf(ref.claimId).traceRoot;
    }

    function challenge(address challenger, Posted memory posted) internal returns (GameId) {
        return challenge(challenger, posted, 0);
    }

    function openGames(ClaimId claimId) internal view returns (uint256 open) {
        (open,) = game.standingOf(claimId);
    }

    function isConvicted(ClaimId claimId) internal view returns (bool convicted) {
        (, convicted) = game.standingOf(claimId);
    }

    /// @dev The move that fits where the game stands now.
    function moveOf(GameId gameId) internal view returns (Move memory) {
        GameRef memory ref = refOf(gameId);
        Game memory stored = game.gameOf(gameId);
        return Move(ref, stored.gindex <= 1 ? ref.traceRoot : stored.node);
    }

    /// @dev The opening that the node asks for.
    function openingOf(uint256 gindex, Trace memory trace) internal pure returns (bytes32[][] memory openings) {
        openings = new bytes32[][](1);
        openings[0] = trace.children(gindex, gindex >= 16 ? 1 : 2);
    }

    function reveal(GameId gameId, Trace memory trace) internal {
        bytes32[][] memory openings = openingOf(game.gameOf(gameId).gindex, trace);
        VM.prank(claimant);
        game.reveal(openings);
    }

    function revealLeaf(GameId gameId, Trace memory trace) internal {
        bytes[] memory leaves = only(trace.leaves[game.gameOf(gameId).gindex - 32]);
        VM.prank(claimant);
        game.revealLeaf(leaves);
    }

    function only(bytes memory data) internal pure returns (bytes[] memory list) {
        list = new bytes[](1);
        list[0] = data;
    }

    function select(address challenger, GameId gameId, Trace memory trace, uint256 gindex) internal {
        Move memory move = moveOf(gameId);
        bytes memory siblings = trace.path(gindex, game.gameOf(gameId).gindex);
        VM.prank(challenger);
        game.select(move, Gindex.wrap(uint128(gindex)), trace.nodes[gindex], siblings);
    }

    /// @dev Plays honestly on both sides until the game stands on the leaf, since an earlier block, and its bytes are known.
    function walk(address challenger, GameId gameId, Trace memory trace, uint256 leaf) internal {
        for (uint256 up = 4; up > 1; up -= 2) {
            reveal(gameId, trace);
            select(challenger, gameId, trace, (32 + leaf) >> (up - 1));
        }
        reveal(gameId, trace);
        select(challenger, gameId, trace, 32 + leaf);
        revealLeaf(gameId, trace);
        nextBlock();
    }

    function prove(
        address challenger,
        GameId gameId,
        Claim memory claim,
        uint256 place,
        Rule rule,
        bytes memory witness
    ) internal {
        Move memory move = moveOf(gameId);
        VM.prank(challenger);
        game.prove(move, claim, Gindex.wrap(uint128(place)), bytes32(0), rule, witness);
    }

    /// @dev A witness that the toy prover answers with these elements.
    function difference(int64 claimed, int64 computed) internal pure returns (bytes memory) {
        return abi.encodePacked(uint16(3), abi.encode(claimed, computed));
    }

    function one(GameId gameId) internal view returns (GameRef[] memory list) {
        list = new GameRef[](1);
        list[0] = refOf(gameId);
    }

    function two(GameId a, GameId b) internal view returns (GameRef[] memory list) {
        list = new GameRef[](2);
        (list[0], list[1]) = (refOf(a), refOf(b));
    }

    function all(GameId[] memory games) internal view returns (GameRef[] memory list) {
        list = new GameRef[](games.length);
        for (uint256 j = 0; j < list.length; ++j) {
            list[j] = refOf(games[j]);
        }
    }

    /// @dev Another block in the same second.
    function nextBlock() internal {
        VM.roll(++height);
    }

    function wait(uint256 duration) internal {
        (time, height) = (time + duration, height + 1);
        VM.warp(time);
        VM.roll(height);
    }
}
