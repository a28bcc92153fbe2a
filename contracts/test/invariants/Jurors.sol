// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Group, Inclusion, Section, Status} from "../../src/types/Claim.sol";
import {ClaimId, ModelId} from "../../src/types/Ids.sol";
import {Opening, Request, Round} from "../../src/types/Request.sol";
import {Posting} from "../Groups.sol";
import {Groups} from "../Groups.sol";
import {Subscribers} from "./Subscribers.sol";

/// @dev Every entry point of quorums, committees and stakes.
abstract contract Jurors is Subscribers {
    uint256 private constant NEWEST = 24;

    /// @dev What a prover committed to, and how far that is. `at`: its claim, once it is on L1.
    struct Reply {
        Filed claim;
        uint256 asked;
        uint256 spot;
        bool isRevealed;
        bool isSettled;
    }

    Reply[] private _replies;

    function setUp() public virtual override {
        super.setUp();
        committees.push(committee);
        committees.push(provers.nameCommittee(first(5)));
        for (uint256 j = 0; j < PROVERS_COUNT - 1; ++j) {
            VM.prank(prover(j));
            provers.join(models[2]);
            shares[prover(j)] += 1;
        }
    }

    function provers_stake(uint256 seed) external acts {
        seed = mixed(seed);
        (address who, uint256 amount) = (prover(pick(seed, 1, PROVERS_COUNT)), CLAIM_BOND * (1 + pick(seed, 2, 20)));
        VM.deal(who, amount);
        VM.prank(who);
        provers.stake{value: amount}();
        stakedIn += amount;
    }

    function provers_unstake(uint256 seed) external acts {
        seed = mixed(seed);
        (address who, uint128 free) = (address(0), 0);
        for (uint256 j = 0; j < PROVERS_COUNT && free == 0; ++j) {
            who = prover((pick(seed, 1, PROVERS_COUNT) + j) % PROVERS_COUNT);
            (free,) = provers.stakes(who);
        }
        uint128 amount = uint128(1 + pick(seed, 2, free / 4 + 1));
        VM.prank(who);
        provers.unstake(amount);
        stakedOut += amount;
    }

    function provers_join(uint256 seed) external acts {
        seed = mixed(seed);
        for (uint256 j = 0; j < 2 * PROVERS_COUNT; ++j) {
            uint256 spot = (pick(seed, 1, 2 * PROVERS_COUNT) + j) % (2 * PROVERS_COUNT);
            VM.prank(prover(spot / 2));
            try provers.join(models[spot % 2 == 0 ? 0 : 2]) {
                shares[prover(spot / 2)] += 1;
                return;
            } catch {}
        }
        revert NothingThere();
    }

    function provers_resign(uint256 seed) external acts {
        seed = mixed(seed);
        for (uint256 j = 0; j < 2 * PROVERS_COUNT; ++j) {
            uint256 spot = (pick(seed, 1, 2 * PROVERS_COUNT) + j) % (2 * PROVERS_COUNT);
            if (provers.seatCount(models[spot % 2 == 0 ? 0 : 2]) <= QUORUM && !oneIn(seed, 2, 8)) continue;
            VM.prank(prover(spot / 2));
            try provers.resign(models[spot % 2 == 0 ? 0 : 2]) {
                return;
            } catch {}
        }
        revert NothingThere();
    }

    function provers_vacate(uint256 seed) external acts {
        seed = mixed(seed);
        if (!oneIn(seed, 2, 4)) {
            height += provers.LEAVING_BLOCKS();
            nextBlock();
        }
        for (uint256 j = 0; j < 2 * PROVERS_COUNT; ++j) {
            uint256 spot = (pick(seed, 1, 2 * PROVERS_COUNT) + j) % (2 * PROVERS_COUNT);
            VM.prank(prover(spot / 2));
            try provers.vacate(models[spot % 2 == 0 ? 0 : 2]) {
                shares[prover(spot / 2)] -= 1;
                return;
            } catch {}
        }
        revert NothingThere();
    }

    function provers_nameCommittee(uint256 seed) external acts {
        seed = mixed(seed);
        uint256 count = 3 + pick(seed, 1, PROVERS_COUNT - 2);
        address[] memory members = new address[](count);
        uint256 skipped = pick(seed, 2, PROVERS_COUNT - count + 1);
        for (uint256 j = 0; j < count; ++j) {
            members[j] = prover(j + (j >= count / 2 ? skipped : 0));
        }
        committees.push(provers.nameCommittee(members));
    }

    function requests_draw(uint256 seed) external acts {
        seed = mixed(seed);
        for (uint256 j = 0; j < NEWEST && j < asks.length; ++j) {
            Request memory asked = asks[asks.length - 1 - j].request;
            if (asked.quorum == 0 || asked.committee != 0 || asks[asks.length - 1 - j].isOver) continue;
            bytes32 requestId = requests.requestIdOf(asked);
            if (requests.roundOf(requestId).committee != 0 || height > madeAt[requestId] + 200) continue;
            return _draw(asked, requestId, seed);
        }
        Request memory made = asks[ask(seed, 2)].request;
        _draw(made, requests.requestIdOf(made), seed);
    }

    function _draw(Request memory asked, bytes32 requestId, uint256 seed) private {
        uint256 number = madeAt[requestId] + requests.DRAW_BLOCKS();
        while (height <= number) nextBlock();
        bytes memory header = headerOf(keccak256(abi.encode(seed)));
        VM.setBlockhash(number, keccak256(header));
        requests.draw(asked, header);
    }

    /// @dev One prover commits, or all that have not yet.
    function requests_commitAnswer(uint256 seed) external acts {
        seed = mixed(seed);
        uint256 index = _uncommitted(seed);
        uint256 missing = asks[index].request.quorum - roundOf(index).committed;
        uint256 count = oneIn(seed, 3, 3) ? 1 : missing;
        bool agrees = !oneIn(seed, 4, 4);
        for (uint256 j = 0; j < count; ++j) {
            _commit(index, mixedWith(seed, j), agrees);
        }
    }

    function _commit(uint256 index, uint256 seed, bool agrees) private {
        Request memory asked = asks[index].request;
        Round memory round = roundOf(index);
        address[] memory members = provers.membersOf(asked.committee != 0 ? asked.committee : round.committee);
        Reply storage reply = _replies.push();
        Filed memory one_;
        one_.claimant = members[oneIn(seed, 1, 30) ? pick(seed, 2, members.length) : round.committed % members.length];
        one_.model = ModelId.unwrap(asked.modelId) == ModelId.unwrap(models[0]) ? 0 : 2;
        (one_.lies, one_.validUntil) = (!agrees && oneIn(seed, 3, 2), uint64(time + 1_000));
        (one_.nonce, one_.requestId) = (tops[one_.claimant]++, requests.requestIdOf(asked));
        (reply.claim, reply.asked) = (one_, index);
        bytes32 commitment = requests.commitmentOf(one_.requestId, one_.claimant, idOf(one_), SALT);
        VM.prank(one_.claimant);
        requests.commitAnswer(asked, commitment);
    }

    /// @dev A request whose quorum can still commit, or a new one.
    function _uncommitted(uint256 seed) private returns (uint256 index) {
        for (uint256 j = 0; j < NEWEST && j < asks.length; ++j) {
            index = asks.length - 1 - j;
            Request memory asked = asks[index].request;
            if (asked.quorum == 0 || asks[index].isOver || asks[index].isAgreed) continue;
            Round memory round = roundOf(index);
            if (round.committed == asked.quorum || (asked.committee == 0 && round.committee == 0)) continue;
            uint256 from = asked.committee != 0 ? madeAt[requests.requestIdOf(asked)] : round.pickedUp;
            if (height <= from + asked.commitBlocks) return index;
        }
        bool isDrawn = oneIn(seed, 1, 2);
        index = ask(seed, isDrawn ? 2 : 1);
        if (isDrawn) _draw(asks[index].request, requests.requestIdOf(asks[index].request), seed);
    }

    /// @dev Reveals one answer, or all of its quorum; whose claim may be posted before.
    function requests_revealAnswer(uint256 seed) external acts {
        seed = mixed(seed);
        (uint256 from, uint256 to) = _sealed(seed);
        if (oneIn(seed, 5, 3)) to = from + 1;
        isRefusing = oneIn(seed, 6, 3);
        for (uint256 j = from; j < to; ++j) {
            if (!_replies[j].isRevealed) _reveal(_replies[j], mixedWith(seed, j));
        }
    }

    function _reveal(Reply storage reply, uint256 seed) private {
        Filed memory one_ = reply.claim;
        uint256 key = keyOf(one_.claimant);
        Posting memory posting = postingOf(key, claimAt(one_), one_.lies ? LIE : BYTES);
        Inclusion memory inclusion = nowhere();
        bool isPosted = oneIn(seed, 1, 4);
        if (isPosted) {
            uint256 batchId = chain.postBatch(Groups.single(posting));
            _taken(one_, batchId);
            inclusion = inclusionOf(filed[filed.length - 1]);
        }
        uint256 next = chain.batchCount();
        Opening memory opened = opening(posting, SALT);
        if (oneIn(seed, 2, 5)) (opened.input, opened.output) = ("", "");
        Ask storage kept = asks[reply.asked];
        requests.revealAnswer(kept.request, kept.data, opened, inclusion);
        if (!isPosted) _taken(one_, next);
        (reply.spot, reply.isRevealed) = (filed.length - 1, true);
        if (kept.request.committee == 0) shares[one_.claimant] += 1;
        kept.isAgreed = roundOf(reply.asked).isAgreed;
    }

    function _taken(Filed memory one_, uint256 batchId) private {
        expect("a nonce gives one claim", isUsable(one_.claimant, one_.nonce) ? 1 : 0, 1);
        use(one_.claimant, one_.nonce);
        file(one_, batchId);
    }

    /// @dev Replies of one request that can be revealed now, the newest; or those of a new one.
    function _sealed(uint256 seed) private returns (uint256 from, uint256 to) {
        for (uint256 j = _replies.length; j > 0 && j + NEWEST > _replies.length; --j) {
            Reply storage reply = _replies[j - 1];
            uint256 sealedAt = roundOf(reply.asked).sealedAt;
            bool isOver = asks[reply.asked].isOver || asks[reply.asked].isAgreed;
            if (reply.isRevealed || isOver || sealedAt == 0 || height > sealedAt + 8) continue;
            while (height <= sealedAt) nextBlock();
            for (from = j - 1; from > 0 && _replies[from - 1].asked == reply.asked;) {
                --from;
            }
            if (_replies[from].isRevealed) from = j - 1;
            return (from, j);
        }
        uint256 index = _uncommitted(seed);
        from = _replies.length;
        uint256 missing = asks[index].request.quorum - roundOf(index).committed;
        bool agrees = !oneIn(seed, 4, 4);
        for (uint256 j = 0; j < missing; ++j) {
            _commit(index, mixedWith(seed, j), agrees);
        }
        nextBlock();
        return (from, _replies.length);
    }

    function requests_settle(uint256 seed) external acts {
        seed = mixed(seed);
        Reply storage reply = _replies[_revealed(seed)];
        Ask storage kept = asks[reply.asked];
        Filed memory one_ = filed[reply.spot];
        if (oneIn(seed, 3, 3) && statusOf(one_) == Status.Posted) lose(reply.spot, seed);
        if (statusOf(one_) == Status.Posted && !oneIn(seed, 4, 8)) wait(WINDOW + 1);
        Round memory round = roundOf(reply.asked);
        if (!round.isAgreed && !round.isSplit && height <= round.sealedAt + 8 && !oneIn(seed, 5, 8)) height += 9;
        VM.roll(height);
        uint256 burned = provers.burned();
        requests.settle(kept.request, claimAt(one_), inclusionOf(one_));
        expect("a reply is settled once", reply.isSettled ? 1 : 0, 0);
        reply.isSettled = true;
        bool isInvalid = isConvicted(idOf(one_));
        if (kept.request.committee == 0) shares[one_.claimant] -= 1;
        uint256 taken_ = isInvalid && kept.request.committee == 0 ? CLAIM_BOND : 0;
        expect("a share is burned", provers.burned() - burned, taken_);
        if (kept.isAgreed) _part(kept, reply.asked, one_.claimant, isInvalid);
    }

    /// @dev Books a part of an agreed request's fee.
    function _part(Ask storage kept, uint256 index, address to, bool isInvalid) private {
        (uint256 fee, uint256 quorum) = (kept.request.fee, kept.request.quorum);
        uint256 part = fee / quorum + (kept.settled == 0 ? fee % quorum : 0);
        if (isInvalid) {
            _earn(kept.request.requester, part);
            kept.paid += part;
        } else {
            _pay(index, to, part);
        }
        kept.settled += 1;
        kept.isOver = kept.settled == quorum;
        expect("all of the fee is paid", kept.isOver && kept.paid != fee ? 1 : 0, 0);
    }

    /// @dev A reply that is revealed and not settled, the first from some place on; now and then any.
    function _revealed(uint256 seed) private view returns (uint256 index) {
        for (uint256 j = 0; j < 4 * NEWEST && j < _replies.length; ++j) {
            index = (pick(seed, 1, _replies.length) + j) % _replies.length;
            if (_replies[index].isRevealed && (!_replies[index].isSettled || oneIn(seed, 2, 12))) return index;
        }
        revert NothingThere();
    }

    function roundOf(uint256 index) internal view returns (Round memory) {
        return requests.roundOf(requests.requestIdOf(asks[index].request));
    }
}
