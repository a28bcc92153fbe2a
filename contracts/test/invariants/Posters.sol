// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim, Group, Inclusion, Place, Status} from "../../src/types/Claim.sol";
import {ClaimId} from "../../src/types/Ids.sol";
import {Timestamp} from "../../src/types/Time.sol";
import {Drafts} from "./Drafts.sol";

/// @dev Every entry point of the chain that does not belong to the game: money, models, uploads, nonces, batches, bonds.
abstract contract Posters is Drafts {
    /// @dev Where groups begin, those included that were refused, and those whose bonds are still to be freed.
    Place[] internal places;
    uint256[] internal standing;
    mapping(uint256 batchId => uint256[] filedIndices) internal filedIn;
    mapping(bytes32 requestId => uint256[] filedIndices) internal answersTo;
    mapping(address claimant => mapping(uint256 nonce => bool isBroken)) private _isBroken;

    function setUp() public virtual override {
        super.setUp();
        for (uint256 j = 0; j < MODELS; ++j) {
            for (uint256 k = 0; k < 3; ++k) {
                bytes32[] memory tensors = new bytes32[](1);
                tensors[0] = chain.upload(k == 1 ? LIE : BYTES);
                chain.assemble(models[j], k != 2, tensors);
            }
        }
    }

    function chain_deposit(uint256 seed) external acts {
        seed = mixed(seed);
        (address account, uint256 amount) = (anyone(seed, 1), pick(seed, 2, 300) * 1 ether + pick(seed, 3, 9));
        VM.deal(account, amount);
        VM.prank(account);
        chain.deposit{value: amount}();
        (freeOf[account], ledgerIn) = (freeOf[account] + amount, ledgerIn + amount);
    }

    function chain_depositFor(uint256 seed) external acts {
        seed = mixed(seed);
        (address account, uint256 amount) = (anyone(seed, 1), pick(seed, 2, 300) * 1 ether + pick(seed, 3, 9));
        deposit(account, amount);
        (freeOf[account], ledgerIn) = (freeOf[account] + amount, ledgerIn + amount);
    }

    function chain_fund(uint256 seed) external acts {
        seed = mixed(seed);
        uint256 amount = pick(seed, 2, 40) * 1 ether + pick(seed, 3, 9);
        fund(anyone(seed, 1), amount);
        ledgerIn += amount;
    }

    function chain_redeposit(uint256 seed) external acts {
        seed = mixed(seed);
        (address account, uint256 amount) = _earned(seed);
        VM.prank(account);
        chain.redeposit(amount);
        freeOf[account] += amount;
    }

    function chain_withdraw(uint256 seed) external acts {
        seed = mixed(seed);
        (address account, uint256 amount) = _earned(seed);
        VM.prank(account);
        chain.withdraw(amount);
        ledgerOut += amount;
    }

    function chain_announceWithdrawal(uint256 seed) external acts {
        seed = mixed(seed);
        VM.prank(anyone(seed, 1));
        chain.announceWithdrawal(oneIn(seed, 3, 50) ? type(uint256).max : pick(seed, 2, 300) * 1 ether);
    }

    function chain_completeWithdrawal(uint256 seed) external acts {
        seed = mixed(seed);
        for (uint256 j = 0; j < PROVERS_COUNT + 4; ++j) {
            address account = everyone()[(pick(seed, 1, PROVERS_COUNT + 4) + j) % (PROVERS_COUNT + 4)];
            (uint256 amount, Timestamp due) = chain.withdrawalOf(account);
            if (amount == 0) continue;
            if (Timestamp.unwrap(due) > time && !oneIn(seed, 2, 8)) wait(DELAY);
            uint256 left = amount < freeOf[account] ? amount : freeOf[account];
            VM.prank(account);
            chain.completeWithdrawal();
            (freeOf[account], ledgerOut) = (freeOf[account] - left, ledgerOut + left);
            return;
        }
        revert NothingThere();
    }

    function chain_registerModel(uint256 seed) external acts {
        seed = mixed(seed);
        chain.registerModel(smallHeader(), abi.encodePacked(oneIn(seed, 1, 2) ? seed : 5));
    }

    function chain_upload(uint256 seed) external acts {
        chain.upload(abi.encodePacked(mixed(seed)));
    }

    function chain_join(uint256 seed) external acts {
        bytes memory leaf = new bytes(1024);
        leaf[0] = bytes1(uint8(mixed(seed)));
        bytes32 left = chain.upload(leaf);
        chain.join(left, 1024, chain.upload(hex"01"), 1);
    }

    function chain_assemble(uint256 seed) external acts {
        seed = mixed(seed);
        bytes32[] memory tensors = new bytes32[](1);
        tensors[0] = oneIn(seed, 1, 2) ? root(BYTES) : root(LIE);
        chain.assemble(models[pick(seed, 2, MODELS)], true, tensors);
    }

    /// @dev Of nonces that come next, so that groups meet them.
    function chain_cancelNonce(uint256 seed) external acts {
        seed = mixed(seed);
        address account = prover(pick(seed, 1, PROVERS_COUNT));
        uint256 nonce = oneIn(seed, 3, 12) ? pick(seed, 2, tops[account] + 1) : tops[account] + pick(seed, 2, 6);
        VM.prank(account);
        chain.cancelNonce(nonce);
        expect("cancelled once", nonces[account][nonce], 0);
        nonces[account][nonce] = time + DELAY;
    }

    /// @dev Another claim is shown that its claimant signed for the nonce of one on L1; mostly one that breaks the promise.
    function chain_breakPromise(uint256 seed) external acts {
        seed = mixed(seed);
        if (filed.length == 0) revert NothingThere();
        Filed memory one_ = filed[pick(seed, 1, filed.length)];
        (Claim memory posted, Inclusion memory inclusion) = (claimAt(one_), inclusionOf(one_));
        (, Timestamp postedAt,,,) = chain.batches(one_.batchId);
        Filed memory promised = abi.decode(abi.encode(one_), (Filed));
        promised.requestId = oneIn(seed, 2, 12) ? bytes32(seed) : bytes32(0);
        promised.validUntil = uint64(Timestamp.unwrap(postedAt) + pick(seed, 3, 5) - (oneIn(seed, 4, 12) ? 5 : 0));
        promised.model = uint8(pick(seed, 5, MODELS));
        bool isSigned = !oneIn(seed, 6, 12);
        uint256 key = one_.claimant == claimant ? CLAIMANT_KEY : keyOf(one_.claimant);
        bytes memory signature = signed(isSigned ? key : key + 1, ClaimId.unwrap(idOf(promised)));
        chain.breakPromise(claimAt(promised), signature, posted, inclusion);
        bool isBroken = isSigned && promised.requestId == 0 && promised.validUntil >= Timestamp.unwrap(postedAt);
        expect("a promise is broken", isBroken ? 1 : 0, 1);
        expect("a nonce costs one promise", _isBroken[one_.claimant][one_.nonce] ? 1 : 0, 0);
        _isBroken[one_.claimant][one_.nonce] = true;
        uint256 free = freeOf[one_.claimant];
        freeOf[one_.claimant] = free < CLAIM_BOND ? 0 : free - CLAIM_BOND;
    }

    function chain_postBatch(uint256 seed) external acts {
        post(mixed(seed));
    }

    function post(uint256 seed) internal {
        bool isBig = oneIn(seed, 1, 25);
        Draft[] memory drafts = new Draft[](isBig ? 1 : 1 + pick(seed, 2, 3));
        Group[] memory groups = new Group[](drafts.length);
        for (uint256 j = 0; j < drafts.length; ++j) {
            drafts[j] = draft(mixedWith(seed, 50 + j), isBig);
            groups[j] = drafts[j].group;
        }
        address sender = oneIn(seed, 3, 2) ? drafts[0].group.claimant : EVE;
        VM.prank(sender);
        uint256 batchId = chain.postBatch(groups);
        for (uint256 j = 0; j < drafts.length; ++j) {
            _book(drafts[j], batchId, sender);
        }
        (bytes32 root_,,,,) = chain.batches(batchId);
        expect("exactly these claims are posted", uint256(root_), uint256(rootOf(batchId)));
    }

    function _book(Draft memory made, uint256 batchId, address sender) private {
        uint256 first = leavesOf[batchId].length;
        (bool[] memory posted, uint256 total) = taken(made, sender);
        places.push(Place(batchId, first));
        if (total != 0) standing.push(places.length - 1);
        for (uint256 j = 0; j < made.size; ++j) {
            if (posted[j]) file(made.claims[j], batchId);
            else leavesOf[batchId].push(paddingLeaf());
        }
    }

    /// @dev A claim is on L1, behind the claims of its batch that are booked.
    function file(Filed memory one_, uint256 batchId) internal {
        (one_.batchId, one_.index) = (uint40(batchId), uint16(leavesOf[batchId].length));
        leavesOf[batchId].push(sha256(abi.encodePacked(hex"04", idOf(one_))));
        filedIn[batchId].push(filed.length);
        if (one_.requestId != 0) answersTo[one_.requestId].push(filed.length);
        filed.push(one_);
    }

    function rootOf(uint256 batchId) internal view returns (bytes32) {
        Filed memory first;
        first.batchId = uint40(batchId);
        bytes32 hash = leavesOf[batchId][0];
        bytes32[] memory proof = inclusionOf(first).proof;
        for (uint256 j = 0; j < proof.length; ++j) {
            hash = sha256(abi.encodePacked(hash, proof[j]));
        }
        return hash;
    }

    function chain_releaseGroups(uint256 seed) external acts {
        seed = mixed(seed);
        if (places.length == 0) revert NothingThere();
        Place[] memory chosen = new Place[](1 + pick(seed, 1, 3));
        bool isOver = false;
        for (uint256 j = 0; j < chosen.length; ++j) {
            bool isAny = standing.length == 0 || oneIn(seed, 10 + j, 3);
            uint256 spot = pick(seed, 20 + j, isAny ? places.length : standing.length);
            chosen[j] = places[isAny ? spot : standing[spot]];
            if (oneIn(seed, 30 + j, 10)) chosen[j].first += 1;
            if (isAny) continue;
            if (_isOver(chosen[j].batchId)) isOver = true;
            else if (!isOver && !oneIn(seed, 40 + j, 4)) wait(WINDOW + 1);
            if (!_isOver(chosen[j].batchId)) continue;
            standing[spot] = standing[standing.length - 1];
            standing.pop();
        }
        chain.releaseGroups(chosen);
        for (uint256 j = 0; j < chosen.length; ++j) {
            noteFreed(chosen[j].batchId);
        }
    }

    function chain_release(uint256 seed) external acts {
        seed = mixed(seed);
        Filed memory one_ = filed[_held(seed)];
        if (!_isOver(one_.batchId) && !oneIn(seed, 4, 4)) wait(WINDOW + 1);
        chain.release(claimAt(one_), inclusionOf(one_));
        noteFreed(one_.batchId);
    }

    function chain_releaseAll(uint256 seed) external acts {
        seed = mixed(seed);
        uint256 count = 1 + pick(seed, 5, 4);
        (Claim[] memory claims, Inclusion[] memory inclusions) = (new Claim[](count), new Inclusion[](count));
        for (uint256 j = 0; j < count; ++j) {
            Filed memory one_ = filed[_held(mixedWith(seed, j))];
            (claims[j], inclusions[j]) = (claimAt(one_), inclusionOf(one_));
        }
        if (oneIn(seed, 6, 3)) (claims[0], inclusions[0]) = (claims[count - 1], inclusions[count - 1]);
        chain.releaseAll(claims, inclusions);
        for (uint256 j = 0; j < count; ++j) {
            noteFreed(inclusions[j].batchId);
        }
    }

    /// @dev Books the bonds of a batch that have become free, which only those of final claims may, once.
    function noteFreed(uint256 batchId) internal {
        uint256[] storage indices = filedIn[batchId];
        for (uint256 j = 0; j < indices.length; ++j) {
            Filed storage one_ = filed[indices[j]];
            bool isFree = chain.isReleased(batchId, one_.index);
            if (isFree == one_.isFreed) continue;
            expect("a bond stays free", isFree ? 1 : 0, 1);
            expect("its claim is final", uint256(chain.status(claimAt(one_), inclusionOf(one_))), uint256(Status.Final));
            expect("its claim is not invalid", one_.isConvicted ? 1 : 0, 0);
            one_.isFreed = true;
            freeOf[one_.claimant] += CLAIM_BOND;
            lockedOf[one_.claimant] -= CLAIM_BOND;
        }
    }

    /// @dev A claim whose bond is held, the first from some place on; now and then any.
    function _held(uint256 seed) private view returns (uint256 index) {
        if (filed.length == 0) revert NothingThere();
        for (uint256 j = 0; j < 40; ++j) {
            index = (pick(seed, 1, filed.length) + j) % filed.length;
            if (oneIn(seed, 2, 4) || (!filed[index].isFreed && !filed[index].isConvicted)) return index;
        }
    }

    function _isOver(uint256 batchId) internal view returns (bool) {
        (,, Timestamp closesAt,,) = chain.batches(batchId);
        (Timestamp resumesAt, uint40 stopped) = chain.challengeClock();
        uint256 since = time > Timestamp.unwrap(resumesAt) ? time : Timestamp.unwrap(resumesAt);
        return since - stopped > Timestamp.unwrap(closesAt);
    }

    function _earned(uint256 seed) private view returns (address account, uint256 amount) {
        address[] memory accounts = everyone();
        for (uint256 j = 0; j < PROVERS_COUNT + 4; ++j) {
            account = accounts[(pick(seed, 1, PROVERS_COUNT + 4) + j) % (PROVERS_COUNT + 4)];
            amount = chain.earnings(account);
            if (amount != 0) return (account, 1 + pick(seed, 2, amount + (oneIn(seed, 3, 20) ? 1 ether : 0)));
        }
        revert NothingThere();
    }

    function statusOf(Filed memory one_) internal view returns (Status) {
        return chain.status(claimAt(one_), inclusionOf(one_));
    }

    function idAt(uint256 index) internal view returns (ClaimId) {
        return idOf(filed[index]);
    }
}
