// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ledger} from "../src/Ledger.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {Claim, Inclusion} from "../src/types/Claim.sol";
import {ClaimId} from "../src/types/Ids.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev A claimant signs a claim for somebody, and has another one posted with its nonce.
contract PromisesTest is World {
    using Traces for Trace;

    Claim private _promised;
    bytes private _signature;
    Posted private _other;

    function setUp() public override {
        super.setUp();
        Trace memory trace = Traces.honest();
        Claim memory promised = claimOf(model, trace);
        promised.outputRoot = bytes32(uint256(1));
        promised.validUntil = uint64(time + 5);
        sign(promised);
        Claim memory posted = claimOf(model, trace);
        posted.nonce = promised.nonce;
        wait(5);
        _other = post(posted, trace);
    }

    function sign(Claim memory promised) private {
        _promised = promised;
        _signature = signed(CLAIMANT_KEY, ClaimId.unwrap(chain.claimIdOf(promised)));
    }

    function isNone() private {
        ClaimId name = chain.claimIdOf(_promised);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NoBrokenPromise.selector, name, _other.id));
        chain.breakPromise(_promised, _signature, _other.claim, _other.inclusion);
    }

    function test_breakPromise_anybodyShows_burnsABond() public {
        uint256 free = chain.balance(claimant);
        ClaimId name = chain.claimIdOf(_promised);
        VM.expectEmit(address(chain));
        emit Ledger.BondForfeited(claimant, CLAIM_BOND, CLAIM_BOND);
        VM.expectEmit(address(chain));
        emit RollupChain.PromiseBroken(claimant, name, _other.id, CLAIM_BOND);
        VM.prank(EVE);
        chain.breakPromise(_promised, _signature, _other.claim, _other.inclusion);
        same("free", chain.balance(claimant), free - CLAIM_BOND);
        same("burned", chain.burned(), CLAIM_BOND);
        same("the posted claim keeps its bond", chain.locked(claimant), CLAIM_BOND);
        isNone();
    }

    /// @dev Any number of broken promises of one nonce cost one bond: it can be used once.
    function test_breakPromise_anotherOfTheSameNonce_isNone() public {
        chain.breakPromise(_promised, _signature, _other.claim, _other.inclusion);
        Claim memory second = _promised;
        second.outputRoot = bytes32(uint256(2));
        sign(second);
        isNone();
    }

    function test_breakPromise_moreThanIsFree_burnsWhatThereIs() public {
        uint256 left = chain.balance(claimant);
        VM.prank(claimant);
        chain.announceWithdrawal(left - 1);
        wait(DELAY);
        VM.prank(claimant);
        chain.completeWithdrawal();
        chain.breakPromise(_promised, _signature, _other.claim, _other.inclusion);
        same("free", chain.balance(claimant), 0);
        same("burned", chain.burned(), 1);
    }

    function test_breakPromise_keptOne_isNone() public {
        _promised = _other.claim;
        sign(_promised);
        isNone();
    }

    function test_breakPromise_otherNonce_isNone() public {
        Claim memory promised = _promised;
        promised.nonce += 1;
        sign(promised);
        isNone();
    }

    function test_breakPromise_otherClaimant_isNone() public {
        Claim memory promised = _promised;
        promised.claimant = VM.addr(77);
        _promised = promised;
        _signature = signed(77, ClaimId.unwrap(chain.claimIdOf(promised)));
        isNone();
    }

    function test_breakPromise_notSigned_isNone() public {
        _signature = signed(0xe5e, ClaimId.unwrap(chain.claimIdOf(_promised)));
        isNone();
        _signature = "";
        isNone();
    }

    /// @dev Who signs again once a claim has expired breaks nothing: its holder had its time.
    function test_breakPromise_expiredBefore_isNone() public {
        Claim memory promised = _promised;
        promised.validUntil -= 1;
        sign(promised);
        isNone();
    }

    function test_breakPromise_forARequest_isNone() public {
        Claim memory promised = _promised;
        promised.requestId = bytes32(uint256(1));
        sign(promised);
        isNone();
    }

    function test_breakPromise_neverPosted_isNone() public {
        _other.claim.outputRoot = bytes32(uint256(3));
        _other.id = chain.claimIdOf(_other.claim);
        isNone();
    }
}
