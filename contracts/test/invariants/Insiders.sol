// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Monoids} from "../../src/generated/Opcodes.sol";
import {Claim} from "../../src/types/Claim.sol";
import {GameRef, Move, Question} from "../../src/types/Dispute.sol";
import {Gindex} from "../../src/types/Gindex.sol";
import {Disputers} from "./Disputers.sol";

/// @dev Every entry point of the game inside an element.
abstract contract Insiders is Disputers {
    uint16 private constant ELEMENT = 3;

    mapping(uint256 index => Question question) private _questions;
    mapping(uint256 index => bytes results) private _results;

    function game_descend(uint256 seed) external acts {
        _descend(mixed(seed));
    }

    /// @dev A reduction of 70 parts has two levels, one of 6 has one.
    function _descend(uint256 seed) private returns (uint256 index) {
        index = _arrived(seed);
        Played memory one_ = played[index];
        Question memory question;
        (question.place, question.element, question.monoid) = (Gindex.wrap(OUTPUT), ELEMENT, uint8(Monoids.SUM));
        question.parts = oneIn(seed, 13, 2) ? 70 : 6;
        bytes memory descriptor = abi.encode(question.monoid, question.parts);
        (Move memory move, Claim memory claim) = (moveOf(one_.id), claimAt(filed[one_.filed]));
        VM.prank(one_.challenger);
        game.descend(move, claim, question.place, 0, ELEMENT, descriptor);
        _questions[index] = question;
        nextBlock();
    }

    function game_partials(uint256 seed) external acts {
        seed = mixed(seed);
        _answer(_inside(seed, false));
    }

    function _answer(uint256 index) private {
        Played memory one_ = played[index];
        Question memory question = _questions[index];
        bytes memory results = abi.encodePacked(int64(1), int64(2), int64(3), int64(4), int64(5), int64(5));
        if (question.parts == 70 && question.level == 0) results = abi.encodePacked(int64(10), int64(20));
        GameRef memory ref = refOf(one_.id);
        VM.prank(filed[one_.filed].claimant);
        game.partials(ref.claimId, ref.traceRoot, question, results);
        _results[index] = results;
    }

    function game_narrow(uint256 seed) external acts {
        seed = mixed(seed);
        uint256 index = _inside(seed, true);
        for (uint256 j = 0; j < 6; ++j) {
            if (_questions[index].parts == 70 && _questions[index].level == 0) break;
            index = _descend(mixedWith(seed, j));
        }
        if (_results[index].length == 0) _answer(index);
        _narrow(index);
    }

    function _narrow(uint256 index) private {
        Played memory one_ = played[index];
        Question memory question = _questions[index];
        Move memory move = moveOf(one_.id);
        VM.prank(one_.challenger);
        game.narrow(move, question, _results[index], 1);
        (question.level, question.index, question.value) = (1, 1, 20);
        _questions[index] = question;
        delete _results[index];
    }

    function game_settle(uint256 seed) external acts {
        seed = mixed(seed);
        uint256 index = _inside(seed, true);
        Played memory one_ = played[index];
        Question memory question = _questions[index];
        bool isDeep = question.parts == 6 || question.level == 1;
        uint256 child = isDeep && (question.level == 1 || oneIn(seed, 14, 2)) ? 2 : type(uint256).max;
        bytes memory witness = abi.encodePacked(ELEMENT, abi.encode(int64(7), int64(8)));
        (Move memory move, Claim memory claim) = (moveOf(one_.id), claimAt(filed[one_.filed]));
        VM.prank(one_.challenger);
        game.settle(move, claim, question, _results[index], child, witness);
        noteEnds(one_.filed);
    }

    /// @dev A game inside an element, whose question is answered or not.
    function _inside(uint256 seed, bool isAnswered) private returns (uint256 index) {
        index = _live(seed);
        for (uint256 j = 0; j < 4 && !game.gameOf(played[index].id).inside; ++j) {
            index = _live(mixedWith(seed, j));
        }
        if (!game.gameOf(played[index].id).inside) index = _descend(seed);
        if (isAnswered && _results[index].length == 0) _answer(index);
    }
}
