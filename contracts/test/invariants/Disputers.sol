// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claims} from "../../src/libraries/Claims.sol";
import {Claim, Inclusion} from "../../src/types/Claim.sol";
import {Game, GameRef, Move, Rule, Side} from "../../src/types/Dispute.sol";
import {Gindex} from "../../src/types/Gindex.sol";
import {ClaimId, GameId} from "../../src/types/Ids.sol";
import {Posters} from "./Posters.sol";

/// @dev Every entry point of the game, but for those inside an element. A trace has two leaves, the input and the output.
abstract contract Disputers is Posters {
    uint128 internal constant OUTPUT = 3;

    uint256[] internal live;

    function game_challenge(uint256 seed) external acts {
        challenge(mixed(seed));
    }

    function challenge(uint256 seed) internal returns (uint256 index) {
        return _challenge(_disputable(seed), seed);
    }

    function _challenge(uint256 spot, uint256 seed) private returns (uint256 index) {
        Filed memory one_ = filed[spot];
        ClaimId claimId = idOf(one_);
        address challenger = anyone(seed, 2);
        bytes32 commitment = oneIn(seed, 3, 2) ? bytes32(0) : _commitment(one_, challenger);
        uint256 value = pick(seed, 4, 3) * 3 ether;
        if (chain.earnings(challenger) + value < CHALLENGE_BOND && !oneIn(seed, 5, 20)) value = CHALLENGE_BOND;
        (Claim memory claim, Inclusion memory inclusion) = (claimAt(one_), inclusionOf(one_));
        VM.deal(challenger, value);
        VM.prank(challenger);
        GameId gameId = game.challenge{value: value}(claim, inclusion, commitment);
        note(gameId, claimId, claim.traceRoot, challenger);
        (ledgerIn, lockedOf[challenger]) = (ledgerIn + value, lockedOf[challenger] + CHALLENGE_BOND);
        expect("no freed claim is disputed", one_.isFreed ? 1 : 0, 0);
        index = played.length;
        played.push(Played(gameId, spot, challenger, false));
        gamesOf[spot].push(index);
        live.push(index);
    }

    function game_commit(uint256 seed) external acts {
        _commit(_live(mixed(seed)));
    }

    function _commit(uint256 index) private {
        Played memory one_ = played[index];
        bytes32 commitment = _commitment(filed[one_.filed], one_.challenger);
        Move memory move = moveOf(one_.id);
        VM.prank(one_.challenger);
        game.commit(move, commitment);
    }

    function game_setTraceRoot(uint256 seed) external acts {
        seed = mixed(seed);
        for (uint256 j = 0; j < live.length; ++j) {
            uint256 index = live[(pick(seed, 1, live.length) + j) % live.length];
            if (played[index].isOver || filed[played[index].filed].isConvicted) continue;
            if (refOf(played[index].id).traceRoot == 0) return _setTraceRoot(index, seed);
        }
        for (uint256 turn = 0; turn < 4; ++turn) {
            for (uint256 j = filed.length; j > 0; --j) {
                Filed memory one_ = filed[j - 1];
                if (_isOver(one_.batchId)) break;
                if (one_.model != 1 || one_.isConvicted || gamesOf[j - 1].length != 0) continue;
                return _setTraceRoot(_challenge(j - 1, seed), seed);
            }
            post(mixedWith(seed, turn));
        }
        revert NothingThere();
    }

    function _setTraceRoot(uint256 index, uint256 seed) private {
        Filed memory one_ = filed[played[index].filed];
        (ClaimId claimId, bytes32 traceRoot) = (idOf(one_), traceRootOf(one_.lies));
        uint256 key = one_.claimant == claimant ? CLAIMANT_KEY : keyOf(one_.claimant);
        bytes memory signature = signed(key, Claims.traceRootDigest(claimId, traceRoot, chain.domainSeparator()));
        VM.prank(oneIn(seed, 6, 2) ? one_.claimant : EVE);
        game.setTraceRoot(claimId, traceRoot, signature);
    }

    function game_reveal(uint256 seed) external acts {
        seed = mixed(seed);
        bytes32[][] memory openings = new bytes32[][](1 + pick(seed, 1, 2));
        for (uint256 j = 0; j < openings.length; ++j) {
            openings[j] = new bytes32[](2);
            openings[j][0] = oneIn(seed, 2 + j, 2) ? inputRoot : bytes32(seed);
            openings[j][1] = outputRoots[oneIn(seed, 4 + j, 2)];
        }
        VM.prank(anyone(seed, 6));
        game.reveal(openings);
    }

    function game_revealLeaf(uint256 seed) external acts {
        seed = mixed(seed);
        bytes memory data = abi.encodePacked(oneIn(seed, 1, 2) ? BYTES : LIE, new bytes(1020));
        if (oneIn(seed, 2, 4)) data[9] = bytes1(uint8(seed));
        VM.prank(anyone(seed, 3));
        game.revealLeaf(only(data));
    }

    function game_select(uint256 seed) external acts {
        seed = mixed(seed);
        uint256 index = _ready(seed);
        _open(filed[played[index].filed], seed);
        _select(index, oneIn(seed, 7, 3));
    }

    function _open(Filed memory one_, uint256 seed) private {
        bytes32[][] memory openings = new bytes32[][](1);
        openings[0] = new bytes32[](2);
        (openings[0][0], openings[0][1]) = (inputRoot, outputRoots[one_.lies]);
        VM.prank(anyone(seed, 8));
        game.reveal(openings);
    }

    function _select(uint256 index, bool isInput) private {
        Played memory one_ = played[index];
        bytes32 output = outputRoots[filed[one_.filed].lies];
        Move memory move = moveOf(one_.id);
        VM.prank(one_.challenger);
        game.select(
            move,
            Gindex.wrap(isInput ? OUTPUT - 1 : OUTPUT),
            isInput ? inputRoot : output,
            abi.encodePacked(isInput ? output : inputRoot)
        );
    }

    function game_prove(uint256 seed) external acts {
        seed = mixed(seed);
        _prove(_arrived(seed), seed);
    }

    function _prove(uint256 index, uint256 seed) private {
        Played memory one_ = played[index];
        (Move memory move, Claim memory claim) = (moveOf(one_.id), claimAt(filed[one_.filed]));
        Rule rule = oneIn(seed, 11, 3) ? Rule.Padding : Rule.Step;
        bytes memory witness = difference(1, oneIn(seed, 12, 20) ? int64(1) : int64(2));
        VM.prank(one_.challenger);
        game.prove(move, claim, Gindex.wrap(OUTPUT), 0, rule, witness);
        noteEnds(one_.filed);
    }

    function game_timeout(uint256 seed) external acts {
        seed = mixed(seed);
        uint256[] memory chosen = _some(seed);
        GameRef[] memory refs = _refs(chosen);
        if (!oneIn(seed, 15, 4)) wait(CLOCK + 1);
        VM.prank(anyone(seed, 16));
        game.timeout(refs);
        _noteAll(chosen);
    }

    function game_reclaim(uint256 seed) external acts {
        seed = mixed(seed);
        uint256[] memory chosen = _some(seed);
        for (uint256 j = 0; j < live.length; ++j) {
            uint256 index = live[(pick(seed, 17, live.length) + j) % live.length];
            if (filed[played[index].filed].isConvicted) chosen[0] = index;
        }
        game.reclaim(_refs(chosen));
        _noteAll(chosen);
    }

    function game_multicall(uint256 seed) external acts {
        seed = mixed(seed);
        uint256[] memory chosen = _some(seed);
        GameRef[] memory refs = _refs(chosen);
        Played memory one_ = played[chosen[0]];
        bytes[] memory calls = new bytes[](4);
        calls[0] = abi.encodeCall(game.commit, (moveOf(one_.id), _commitment(filed[one_.filed], one_.challenger)));
        calls[1] = abi.encodeCall(game.timeout, (refs));
        calls[2] = abi.encodeCall(game.reclaim, (refs));
        calls[3] = calls[pick(seed, 18, 3)];
        if (oneIn(seed, 15, 3)) wait(CLOCK + 1);
        VM.prank(oneIn(seed, 19, 2) ? one_.challenger : EVE);
        game.multicall(calls);
        _noteAll(chosen);
    }

    function _noteAll(uint256[] memory chosen) private {
        for (uint256 j = 0; j < chosen.length; ++j) {
            noteEnds(played[chosen[j]].filed);
        }
    }

    /// @dev Books what became of the games about a claim, and of its bond.
    function noteEnds(uint256 spot) internal {
        Filed storage one_ = filed[spot];
        uint256[] storage games = gamesOf[spot];
        for (uint256 j = games.length; j > 0; --j) {
            Played storage game_ = played[games[j - 1]];
            if (game.gameOf(game_.id).open) continue;
            game_.isOver = true;
            lockedOf[game_.challenger] -= CHALLENGE_BOND;
            games[j - 1] = games[games.length - 1];
            games.pop();
        }
        if (!isConvicted(idOf(one_))) return;
        expect("the bond of a convicted claim was not freed", one_.isFreed ? 1 : 0, 0);
        expect("a convicted claim's bond is not freed", chain.isReleased(one_.batchId, one_.index) ? 1 : 0, 0);
        if (!one_.isConvicted) lockedOf[one_.claimant] -= CLAIM_BOND;
        one_.isConvicted = true;
    }

    /// @dev The claim is challenged and convicted.
    function lose(uint256 spot, uint256 seed) internal {
        uint256 index = _challenge(spot, seed);
        if (refOf(played[index].id).traceRoot == 0) _setTraceRoot(index, seed);
        _commit(index);
        nextBlock();
        _prove(index, seed);
    }

    /// @dev One of the newest claims that can be challenged; posts some if there is none.
    function _disputable(uint256 seed) private returns (uint256 spot) {
        for (uint256 turn = 0; turn < 3; ++turn) {
            uint256 count = filed.length < 24 ? filed.length : 24;
            for (uint256 j = 0; j < count; ++j) {
                spot = filed.length - 1 - (pick(seed, 1, count) + j) % count;
                if (filed[spot].isConvicted) continue;
                if (oneIn(seed, 9, 30) || !_isOver(filed[spot].batchId)) return spot;
            }
            post(mixedWith(seed, turn));
        }
        revert NothingThere();
    }

    /// @dev A game whose claim is not convicted and in which nobody is late, or a new one.
    function _live(uint256 seed) internal returns (uint256 index) {
        for (uint256 j = 0; j < 6 && live.length != 0; ++j) {
            uint256 spot = pick(seed, 60 + j, live.length);
            index = live[spot];
            if (played[index].isOver) {
                live[spot] = live[live.length - 1];
                live.pop();
                continue;
            }
            if (filed[played[index].filed].isConvicted) continue;
            (,,, Side expired) = game.stateOf(refOf(played[index].id));
            if (expired == Side.None) return index;
        }
        return challenge(seed);
    }

    /// @dev The same, whose trace root is known.
    function _ready(uint256 seed) private returns (uint256 index) {
        index = _live(seed);
        if (refOf(played[index].id).traceRoot == 0) _setTraceRoot(index, seed);
    }

    /// @dev The same, which can prove at the output's leaf in this block.
    function _arrived(uint256 seed) internal returns (uint256 index) {
        index = _ready(seed);
        Game memory stored = game.gameOf(played[index].id);
        if (stored.inside) {
            index = challenge(seed);
            if (refOf(played[index].id).traceRoot == 0) _setTraceRoot(index, seed);
            stored = game.gameOf(played[index].id);
        }
        if (stored.gindex != OUTPUT && stored.commitment == 0) _commit(index);
        nextBlock();
    }

    function _some(uint256 seed) private returns (uint256[] memory chosen) {
        chosen = new uint256[](1 + pick(seed, 20, 3));
        for (uint256 j = 0; j < chosen.length; ++j) {
            uint256 spot = pick(seed, 21 + j, live.length + 1);
            chosen[j] = spot == live.length ? _live(seed) : live[spot];
        }
    }

    function _refs(uint256[] memory chosen) private view returns (GameRef[] memory refs) {
        refs = new GameRef[](chosen.length);
        for (uint256 j = 0; j < refs.length; ++j) {
            refs[j] = refOf(played[chosen[j]].id);
        }
    }

    function _commitment(Filed memory one_, address challenger) private view returns (bytes32) {
        return game.commitmentOf(idOf(one_), traceRootOf(one_.lies), challenger, Gindex.wrap(OUTPUT), 0);
    }
}
