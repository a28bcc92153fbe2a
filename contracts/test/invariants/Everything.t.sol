// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {Jurors} from "./Jurors.sol";

/// @dev Everybody at once: claimants, challengers, requesters, provers of quorums.
contract Everybody is Jurors {
    function pass(uint256 seed) external acts {
        seed = mixed(seed);
        wait([uint256(0), 1, 12, 60, DELAY, CLOCK + 1, 300, WINDOW + 1][pick(seed, 1, 8)]);
    }

    /// @dev What is too long to be looked at behind every call: every claim's bond and every claim's verdict.
    function auditAll() external view {
        for (uint256 j = 0; j < filed.length; ++j) {
            bool isFree = chain.isReleased(filed[j].batchId, filed[j].index);
            yes("a bond is free as often as the books say", isFree == filed[j].isFreed);
            yes("a verdict stands", isConvicted(idAt(j)) == filed[j].isConvicted);
            yes("the bond of a convicted claim is not freed", !(isFree && filed[j].isConvicted));
        }
        for (uint256 j = 0; j < asks.length; ++j) {
            yes("a request is paid once", asks[j].paid <= asks[j].request.fee);
        }
    }
}

/// @dev `make invariants` runs it for long and says how often every entry point took a call.
contract EverythingTest is Base {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Everybody private everybody;

    function setUp() public {
        everybody = new Everybody();
        everybody.setUp();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(everybody);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        string[53] memory chosen = [
            "chain_postBatch",
            "chain_releaseGroups",
            "chain_breakPromise",
            "chain_release",
            "chain_releaseAll",
            "chain_cancelNonce",
            "chain_deposit",
            "chain_depositFor",
            "chain_fund",
            "chain_redeposit",
            "chain_withdraw",
            "chain_announceWithdrawal",
            "chain_completeWithdrawal",
            "chain_registerModel",
            "chain_upload",
            "chain_join",
            "chain_assemble",
            "game_challenge",
            "game_commit",
            "game_setTraceRoot",
            "game_reveal",
            "game_revealLeaf",
            "game_select",
            "game_prove",
            "game_descend",
            "game_partials",
            "game_narrow",
            "game_settle",
            "game_timeout",
            "game_reclaim",
            "game_multicall",
            "requests_commit",
            "requests_publish",
            "requests_request",
            "requests_requestCallback",
            "requests_subscribe",
            "requests_renew",
            "requests_unsubscribe",
            "requests_cancel",
            "requests_note",
            "requests_strike",
            "requests_answer",
            "requests_deliver",
            "requests_refund",
            "requests_withdraw",
            "requests_draw",
            "requests_commitAnswer",
            "requests_revealAnswer",
            "requests_settle",
            "provers_stake",
            "provers_unstake",
            "provers_join",
            "pass"
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(everybody), new bytes4[](chosen.length + 5));
        for (uint256 j = 0; j < chosen.length; ++j) {
            targets[0].selectors[j] = bytes4(keccak256(abi.encodePacked(chosen[j], "(uint256)")));
        }
        string[5] memory others = [
            "provers_resign",
            "provers_vacate",
            "provers_nameCommittee",
            "adapter_requestCallback",
            "adapter_withdrawFor"
        ];
        for (uint256 j = 0; j < others.length; ++j) {
            targets[0].selectors[chosen.length + j] = bytes4(keccak256(abi.encodePacked(others[j], "(uint256)")));
        }
    }

    function invariant_everything_isWhereTheBooksSay() public view {
        everybody.audit();
    }

    function afterInvariant() public view {
        everybody.auditAll();
    }
}
