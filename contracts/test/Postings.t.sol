// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ledger} from "../src/Ledger.sol";
import {Models} from "../src/Models.sol";
import {Nonces} from "../src/Nonces.sol";
import {Postings} from "../src/Postings.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {Claims} from "../src/libraries/Claims.sol";
import {Claim, Group, Inclusion, Place, Section, Status} from "../src/types/Claim.sol";
import {ClaimId, GameId, ModelId} from "../src/types/Ids.sol";
import {Groups, Posting} from "./Groups.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev Groups of claims of a tiny model, and of the toy model.
contract PostingsTest is World {
    using Traces for Trace;

    bytes private constant BYTES = hex"01020304";

    ModelId private _tiny;
    Posting[] private _postings;
    bytes32[] private _ids;

    function setUp() public override {
        super.setUp();
        deposit(claimant, 1_000_000 ether);
        bytes memory tensor = abi.encodePacked(hex"000701", uint32(4));
        bytes memory head = abi.encodePacked(uint16(2), uint8(1), uint8(1), uint8(0), uint32(2));
        _tiny = chain.registerModel(abi.encodePacked(head, hex"01", tensor, hex"01", uint32(1), tensor), "");
    }

    /// @dev Claims with consecutive nonces, from `nextNonce` on.
    function make(uint256 count) private {
        delete _postings;
        delete _ids;
        for (uint256 j = 0; j < count; ++j) {
            Claim memory claim;
            (claim.modelId, claim.claimant, claim.nonce) = (_tiny, claimant, nextNonce++);
            claim.validUntil = uint64(time + 10_000);
            claim.inputRoot = sha256(abi.encodePacked(hex"00", BYTES, new bytes(1020)));
            claim.outputRoot = claim.inputRoot;
            _postings.push(Posting(claim, "", BYTES, BYTES));
            _ids.push(ClaimId.unwrap(chain.claimIdOf(claim)));
        }
    }

    function group() private view returns (Group[] memory) {
        return Groups.together(_postings, groupSignature());
    }

    function groupSignature() private view returns (bytes memory) {
        return signed(CLAIMANT_KEY, Claims.groupDigest(_ids, chain.domainSeparator()));
    }

    /// @dev Where claim `index` of a batch of these leaves stands.
    function inclusionOf(uint256 batchId, bytes32[] memory leaves, uint256 index)
        private
        pure
        returns (Inclusion memory inclusion)
    {
        uint256 depth = 0;
        while (1 << depth < leaves.length) ++depth;
        bytes32[] memory nodes = new bytes32[](2 << depth);
        for (uint256 j = 0; j < 1 << depth; ++j) {
            nodes[(1 << depth) + j] = j < leaves.length && leaves[j] != 0 ? leaves[j] : sha256(hex"05");
        }
        for (uint256 j = (1 << depth) - 1; j != 0; --j) {
            nodes[j] = sha256(abi.encodePacked(nodes[2 * j], nodes[2 * j + 1]));
        }
        bytes32[] memory proof = new bytes32[](depth);
        for (uint256 j = 0; j < depth; ++j) {
            proof[j] = nodes[(((1 << depth) + index) >> j) ^ 1];
        }
        return Inclusion(batchId, index, proof);
    }

    function leaves() private view returns (bytes32[] memory list) {
        list = new bytes32[](_ids.length);
        for (uint256 j = 0; j < list.length; ++j) {
            list[j] = sha256(abi.encodePacked(hex"04", _ids[j]));
        }
    }

    function place(uint256 batchId, uint256 first) private pure returns (Place[] memory list) {
        list = new Place[](1);
        list[0] = Place(batchId, first);
    }

    function refuses(Group[] memory groups, bytes4 reason) private {
        uint256 held = chain.locked(groups[0].claimant);
        uint256 count = 0;
        for (uint256 j = 0; j < groups[0].sections.length; ++j) {
            count += groups[0].sections[j].count;
        }
        VM.expectEmit(address(chain));
        emit Postings.GroupRefused(chain.batchCount(), 0, groups[0].claimant, groups[0].firstNonce, count, reason);
        chain.postBatch(groups);
        same("nothing locked", chain.locked(groups[0].claimant), held);
    }

    function test_group_everyClaimIsItsOwn_succeeds() public {
        make(5);
        VM.prank(EVE);
        uint256 batchId = chain.postBatch(group());
        same("bonds", chain.locked(claimant), 5 * CLAIM_BOND);
        for (uint256 j = 0; j < 5; ++j) {
            yes("used", chain.isNonceUsed(claimant, _postings[j].claim.nonce));
            Inclusion memory inclusion = inclusionOf(batchId, leaves(), j);
            yes("posted", chain.status(_postings[j].claim, inclusion) == Status.Posted);
            VM.prank(ALICE);
            game.challenge(_postings[j].claim, inclusion, 0);
            yes("challenged", chain.status(_postings[j].claim, inclusion) == Status.Challenged);
        }
        yes("no further nonce", !chain.isNonceUsed(claimant, nextNonce));
    }

    /// @dev A section for each model and form; requests and uploads too.
    function test_group_sectionsOfAllForms_succeeds() public {
        make(2);
        Trace memory trace = Traces.honest();
        Claim memory lazy = claimOf(lazyModel, trace);
        Claim memory named = claimOf(model, trace);
        Claim memory uploaded = claimOf(model, trace);
        named.requestId = bytes32(uint256(77));
        uploaded.requestId = bytes32(uint256(78));
        (lazy.validUntil, named.validUntil, uploaded.validUntil) =
        (uint64(time + 10_000), uint64(time + 10_000), uint64(time + 10_000));
        bytes32[] memory tensors = new bytes32[](2);
        (tensors[0], tensors[1]) = (chain.upload(trace.tensor(4)), chain.upload(trace.tensor(3)));
        chain.assemble(model, true, tensors);
        Posting memory last = postingOf(uploaded, trace);
        last.output = "";
        _postings.push(postingOf(lazy, trace));
        _postings.push(postingOf(named, trace));
        _postings.push(last);
        Section[] memory sections = new Section[](4);
        sections[0] = group()[0].sections[0];
        sections[0].count = 2;
        sections[0].records = abi.encodePacked(Groups.record(_postings[0]), Groups.record(_postings[1]));
        for (uint256 j = 2; j < 5; ++j) {
            sections[j - 1] = Groups.section(_postings[j]);
            _ids.push(ClaimId.unwrap(chain.claimIdOf(_postings[j].claim)));
        }
        Group[] memory groups = group();
        groups[0].sections = sections;
        uint256 batchId = chain.postBatch(groups);
        for (uint256 j = 0; j < 5; ++j) {
            yes("posted", chain.status(_postings[j].claim, inclusionOf(batchId, leaves(), j)) == Status.Posted);
        }
    }

    /// @dev Whoever posts one of its claims alone first, out of spite, keeps that one out of the group and no other.
    function test_group_nonceUsedBefore_othersStand() public {
        make(4);
        Posting memory alone = _postings[2];
        alone.signature = signed(CLAIMANT_KEY, _ids[2]);
        VM.prank(EVE);
        chain.postBatch(Groups.single(alone));
        uint256 batchId = chain.postBatch(group());
        same("bonds", chain.locked(claimant), 4 * CLAIM_BOND);
        bytes32[] memory list = leaves();
        list[2] = 0;
        for (uint256 j = 0; j < 4; ++j) {
            Status expected = j == 2 ? Status.Unknown : Status.Posted;
            yes("status", chain.status(_postings[j].claim, inclusionOf(batchId, list, j)) == expected);
        }
        wait(WINDOW + 1);
        chain.releaseGroups(place(batchId, 0));
        same("its bond is not the group's", chain.locked(claimant), CLAIM_BOND);
        chain.release(_postings[2].claim, Inclusion(batchId - 1, 0, new bytes32[](0)));
        same("all", chain.locked(claimant), 0);
    }

    function test_group_twice_isRefused() public {
        make(3);
        chain.postBatch(group());
        refuses(group(), Nonces.NonceUsed.selector);
        Group[] memory both = new Group[](2);
        make(3);
        (both[0], both[1]) = (group()[0], group()[0]);
        uint256 batchId = chain.postBatch(both);
        same("bonds", chain.locked(claimant), 6 * CLAIM_BOND);
        wait(WINDOW + 1);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NothingToRelease.selector));
        chain.releaseGroups(place(batchId, 3));
        chain.releaseGroups(place(batchId, 0));
        same("once", chain.locked(claimant), 3 * CLAIM_BOND);
    }

    function test_group_cancelledNonce_countsUntilThen() public {
        make(3);
        VM.prank(claimant);
        chain.cancelNonce(_postings[1].claim.nonce);
        chain.postBatch(group());
        same("all of them", chain.locked(claimant), 3 * CLAIM_BOND);
        wait(DELAY);
        yes("used", chain.isNonceUsed(claimant, _postings[1].claim.nonce));
        make(3);
        VM.prank(claimant);
        chain.cancelNonce(_postings[1].claim.nonce);
        wait(DELAY);
        chain.postBatch(group());
        same("but that one", chain.locked(claimant), 5 * CLAIM_BOND);
    }

    function test_group_signature_isNeeded() public {
        make(2);
        Group[] memory groups = group();
        groups[0].signature = signed(CLAIMANT_KEY, _ids[0]);
        refuses(groups, Postings.BadSignature.selector);
        groups[0].signature = "";
        refuses(groups, Postings.BadSignature.selector);
        groups = group();
        groups[0].validUntil += 1;
        refuses(groups, Postings.BadSignature.selector);
        groups = group();
        groups[0].firstNonce += 1;
        refuses(groups, Postings.BadSignature.selector);
        groups = group();
        groups[0].claimant = ALICE;
        deposit(ALICE, 1000 ether);
        refuses(groups, Postings.BadSignature.selector);
        // Of a claim alone it is its own, so that whoever holds it can post it.
        make(1);
        refuses(group(), Postings.BadSignature.selector);
        chain.postBatch(Groups.single(postingAgain(0)));
        same("one", chain.locked(claimant), CLAIM_BOND);
    }

    function postingAgain(uint256 index) private view returns (Posting memory posting) {
        posting = _postings[index];
        posting.signature = signed(CLAIMANT_KEY, _ids[index]);
    }

    function test_group_bySender_needsNoSignature() public {
        make(2);
        Group[] memory groups = group();
        groups[0].signature = "";
        VM.prank(claimant);
        chain.postBatch(groups);
        same("bonds", chain.locked(claimant), 2 * CLAIM_BOND);
    }

    function test_group_bonds_allOrNone() public {
        make(3);
        deposit(ALICE, 3 * CLAIM_BOND - 1);
        Group[] memory groups = group();
        groups[0].claimant = ALICE;
        bytes4 reason = Ledger.InsufficientBalance.selector;
        VM.expectEmit(address(chain));
        emit Postings.GroupRefused(0, 0, ALICE, groups[0].firstNonce, 3, reason);
        VM.prank(ALICE);
        chain.postBatch(groups);
        yes("no nonce used", !chain.isNonceUsed(ALICE, groups[0].firstNonce));
        deposit(ALICE, 1);
        VM.prank(ALICE);
        chain.postBatch(groups);
        same("bonds", chain.locked(ALICE), 3 * CLAIM_BOND);
    }

    function test_group_lastNonces_succeeds() public {
        make(2);
        Group[] memory groups = group();
        groups[0].firstNonce = type(uint256).max;
        groups[0].signature = "";
        groups[0].claimant = ALICE;
        deposit(ALICE, 1000 ether);
        refuses(groups, Postings.NoncesOver.selector);
        groups[0].firstNonce -= 1;
        VM.prank(ALICE);
        chain.postBatch(groups);
        same("bonds", chain.locked(ALICE), 2 * CLAIM_BOND);
        yes("last", chain.isNonceUsed(ALICE, type(uint256).max));
    }

    function test_group_count_isNotTheRecords_isRefused() public {
        make(3);
        Group[] memory groups = group();
        groups[0].sections[0].count = 2;
        refuses(groups, Postings.RecordsLength.selector);
        groups[0].sections[0].count = 4;
        refuses(groups, Postings.RecordsLength.selector);
        groups = group();
        (groups[0].sections[0].inputBytes, groups[0].sections[0].outputBytes) = (3, 5);
        refuses(groups, Postings.RecordsLength.selector);
        groups = group();
        groups[0].sections[0].modelId = ModelId.wrap(bytes32(uint256(1)));
        refuses(groups, Models.UnknownModel.selector);
        groups = group();
        groups[0].sections[0].named = true;
        refuses(groups, Postings.RecordsLength.selector);
        groups = group();
        groups[0].sections = new Section[](0);
        Group[] memory two_ = new Group[](2);
        (two_[0], two_[1]) = (groups[0], group()[0]);
        VM.expectEmit(address(chain));
        emit Postings.GroupRefused(
            chain.batchCount(), 0, claimant, groups[0].firstNonce, 0, Postings.NoncesOver.selector
        );
        chain.postBatch(two_);
        same("the other stands", chain.locked(claimant), 3 * CLAIM_BOND);
    }

    /// @dev Wherever the nonces begin, exactly those are used.
    function testFuzz_group_nonces_exactlyThose(uint256 first, uint8 seed) public {
        uint256 count = 2 + seed % 5;
        first = first % (type(uint256).max - 600);
        if (seed & 128 != 0) first = (first | 255) - seed % 4;
        make(count);
        deposit(ALICE, count * CLAIM_BOND);
        Group[] memory groups = group();
        (groups[0].claimant, groups[0].firstNonce) = (ALICE, first);
        VM.prank(ALICE);
        chain.postBatch(groups);
        for (uint256 j = 0; j < count; ++j) {
            yes("used", chain.isNonceUsed(ALICE, first + j));
        }
        if (first != 0) yes("not before", !chain.isNonceUsed(ALICE, first - 1));
        yes("not behind", !chain.isNonceUsed(ALICE, first + count));
    }

    function test_releaseGroups_early_reverts() public {
        make(2);
        uint256 batchId = chain.postBatch(group());
        wait(WINDOW);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NothingToRelease.selector));
        chain.releaseGroups(place(batchId, 0));
        wait(1);
        VM.prank(EVE);
        chain.releaseGroups(place(batchId, 0));
        same("locked", chain.locked(claimant), 0);
        yes("first", chain.isReleased(batchId, 0));
        yes("second", chain.isReleased(batchId, 1));
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NothingToRelease.selector));
        chain.releaseGroups(place(batchId, 0));
    }

    /// @dev Neither a conviction nor an open game lets a bond go with its group.
    function test_releaseGroups_challenged_passesOver() public {
        make(3);
        uint256 batchId = chain.postBatch(group());
        Inclusion memory lie = inclusionOf(batchId, leaves(), 0);
        Inclusion memory doubted = inclusionOf(batchId, leaves(), 2);
        VM.prank(ALICE);
        GameId gameId = game.challenge(_postings[0].claim, lie, 0);
        note(gameId, ClaimId.wrap(_ids[0]), 0, ALICE);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        yes("convicted", isConvicted(chain.claimIdOf(_postings[0].claim)));
        wait(WINDOW - CLOCK - 1 + SPACING);
        VM.prank(BOB);
        game.challenge(_postings[2].claim, doubted, 0);
        wait(SPACING + 1);
        chain.releaseGroups(place(batchId, 0));
        same("held", chain.locked(claimant), CLAIM_BOND);
        yes("not the lie", !chain.isReleased(batchId, 0));
        yes("the middle one", chain.isReleased(batchId, 1));
        yes("not the doubted one", !chain.isReleased(batchId, 2));
        bytes memory refusal =
            abi.encodeWithSelector(RollupChain.NotFinal.selector, ClaimId.wrap(_ids[2]), Status.Challenged);
        VM.expectRevert(refusal);
        chain.release(_postings[2].claim, doubted);
    }

    /// @dev Groups that cross a word of the bitmap; indices that share the bit of a challenged one are freed one by one.
    function test_releaseGroups_manyWords_succeeds() public {
        Group[] memory groups = new Group[](2);
        make(3);
        groups[0] = group()[0];
        bytes32[] memory list = new bytes32[](3 + 270);
        for (uint256 j = 0; j < 3; ++j) {
            list[j] = leaves()[j];
        }
        make(270);
        groups[1] = group()[0];
        for (uint256 j = 0; j < 270; ++j) {
            list[3 + j] = leaves()[j];
        }
        uint256 batchId = chain.postBatch(groups);
        Inclusion memory doubted = inclusionOf(batchId, list, 5);
        VM.prank(ALICE);
        GameId gameId = game.challenge(_postings[2].claim, doubted, 0);
        note(gameId, ClaimId.wrap(_ids[2]), 0, ALICE);
        VM.prank(claimant);
        game.setTraceRoot(ClaimId.wrap(_ids[2]), bytes32(uint256(1)), "");
        wait(2 * WINDOW);
        game.timeout(one(gameId));
        VM.prank(EVE);
        chain.releaseGroups(place(batchId, 3));
        // Indices 5, 133 and 261 share a bit.
        same(
            "left", chain.locked(claimant), (3 + 3) * CLAIM_BOND - (isConvicted(ClaimId.wrap(_ids[2])) ? CLAIM_BOND : 0)
        );
        yes("shared", !chain.isReleased(batchId, 133) && !chain.isReleased(batchId, 261));
        yes("others", chain.isReleased(batchId, 132) && chain.isReleased(batchId, 272) && chain.isReleased(batchId, 3));
        yes("not the other group", !chain.isReleased(batchId, 2));
        chain.release(_postings[130].claim, inclusionOf(batchId, list, 133));
        Inclusion memory freed = inclusionOf(batchId, list, 3);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.AlreadyReleased.selector, _ids[0]));
        chain.release(_postings[0].claim, freed);
    }

    function test_releaseGroups_refusedGroup_hasNone() public {
        make(2);
        Group[] memory groups = group();
        groups[0].signature = "";
        uint256 batchId = chain.postBatch(groups);
        chain.postBatch(group());
        wait(WINDOW + 1);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NothingToRelease.selector));
        chain.releaseGroups(place(batchId, 0));
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NothingToRelease.selector));
        chain.releaseGroups(place(batchId + 1, 1));
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NothingToRelease.selector));
        chain.releaseGroups(place(batchId + 2, 0));
    }

    /// @dev In whatever order bonds are freed, each is freed once.
    function testFuzz_release_anyOrder_eachOnce(uint256 seed) public {
        make(6);
        uint256 batchId = chain.postBatch(group());
        wait(WINDOW + 1);
        for (uint256 j = 0; j < 8; ++j) {
            uint256 pick = (seed >> (4 * j)) % 8;
            uint256 held = chain.locked(claimant);
            if (pick > 5) {
                try chain.releaseGroups(place(batchId, 0)) {
                    same("all", chain.locked(claimant), 0);
                } catch {
                    same("none left", held, 0);
                }
                continue;
            }
            bool before = chain.isReleased(batchId, pick);
            Inclusion memory inclusion = inclusionOf(batchId, leaves(), pick);
            try chain.release(_postings[pick].claim, inclusion) {
                yes("once", !before);
                same("one", chain.locked(claimant), held - CLAIM_BOND);
            } catch {
                yes("again", before);
            }
        }
    }
}
