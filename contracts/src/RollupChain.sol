// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Entries} from "./Entries.sol";
import {Postings} from "./Postings.sol";
import {IDisputeGame} from "./interfaces/IDisputeGame.sol";
import {Bits} from "./libraries/Bits.sol";
import {Claims} from "./libraries/Claims.sol";
import {Header} from "./libraries/Header.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {StoppingClock, Stops} from "./libraries/StoppingClock.sol";
import {Claim, Group, Inclusion, Place, Status} from "./types/Claim.sol";
import {ClaimId, ModelId} from "./types/Ids.sol";
import {Model, TracePolicy} from "./types/Model.sol";
import {Params} from "./types/Params.sol";
import {Payment} from "./types/Payment.sol";
import {Duration, Timestamp, currentTime} from "./types/Time.sol";

/// @title RollupChain
/// @notice Models, bonds, batches of claims, finality. Nobody owns it and nothing can be changed: the dispute game, which
///         was deployed for it and for no other, is the only other contract that it listens to.
/// @dev Challenge periods are measured by a clock that stops for a while whenever a claim is challenged for the first time, so
///      that no number of false claims can run out the time in which a watcher can challenge them all.
///      It has all functions of `IRollupChain`, some of them from its bases, which know nothing of the game.
// slither-disable-next-line missing-inheritance
contract RollupChain is Postings, Entries {
    using Bits for mapping(uint256 word => uint256 bits);
    using Bits for uint256[];
    using StoppingClock for Stops;

    /// @notice A batch of claims.
    /// @param root of its tree
    /// @param postedAt when it was posted
    /// @param closesAt last reading of the challenge clock at which its claims can be challenged for the first time
    /// @param count its claims, those included that are not posted
    /// @param challenged bit j: a claim was challenged whose index is j, or j more than a multiple of 128
    struct Batch {
        bytes32 root;
        Timestamp postedAt;
        Timestamp closesAt;
        uint32 count;
        uint128 challenged;
    }

    /// @dev A claimant's claims that stand side by side in a batch.
    struct Row {
        address claimant;
        uint32 count;
    }

    /// @notice Where claims are disputed.
    IDisputeGame public immutable game;

    /// @notice Batches posted so far; their ids count from 0.
    uint256 public batchCount;
    /// @notice A batch by its id.
    mapping(uint256 batchId => Batch batch) public batches;

    Duration private immutable WINDOW;
    Duration private immutable SPACING;

    Params private _params;
    Stops private _clock;
    mapping(uint256 batchId => mapping(uint256 first => Row row)) private _rows;
    mapping(uint256 batchId => mapping(uint256 word => uint256 bits)) private _released;
    mapping(address claimant => mapping(uint256 word => uint256 bits)) private _brokenPromises;

    /// @notice A batch was posted. Its tree has the padding leaf for each claim that is not posted.
    event BatchPosted(uint256 indexed batchId, bytes32 root, uint256 count, Timestamp postedAt, Timestamp closesAt);
    /// @notice Bonds of final claims of the batch are free again: bit j of `claims` stands for the claim at 256 * `word` + j.
    event Released(uint256 indexed batchId, address indexed claimant, uint256 word, uint256 claims);
    /// @notice A claimant signed a claim and had another one posted in its place; `burnt` wei of its free balance are gone.
    event PromiseBroken(address indexed claimant, ClaimId indexed promised, ClaimId posted, uint256 burnt);
    /// @notice A claim was proven false, or not defended in time.
    event ClaimInvalid(ClaimId indexed claimId);
    /// @notice A claim was challenged for the first time: the challenge clock stops until `resumesAt`, and will then have
    ///         stopped for `stopped` seconds in all.
    event ClockStopped(Timestamp resumesAt, uint40 stopped);

    /// @notice Parameters under which lying, challenging or losing is free, or under which no game can be played.
    error BadParams();
    /// @notice The game was deployed for another chain, or with other parameters.
    error OtherGame(IDisputeGame game);
    /// @notice A batch has at least one claim.
    error EmptyBatch();
    /// @notice Only the dispute game may call this.
    error NotGame(address caller);
    /// @notice The challenge clock shows `reading`, and the challenge period was over behind `closesAt`.
    error WindowOver(Timestamp closesAt, Timestamp reading);
    /// @notice The proof does not place the claim in this batch.
    error NotIncluded(ClaimId claimId, uint256 batchId);
    /// @notice The claim is not final.
    error NotFinal(ClaimId claimId, Status status);
    /// @notice The claim's bond was released before.
    error AlreadyReleased(ClaimId claimId);
    /// @notice The claims do not have one claimant and one nonce, or are the same, or the promised one is not signed, answers a
    ///         request, or had expired when the other was posted; or its claimant has lost a bond for this nonce already.
    error NoBrokenPromise(ClaimId promised, ClaimId posted);
    /// @notice None of these groups has a bond that can be freed: not final, freed before, or challenged (see `release`).
    error NothingToRelease();

    modifier onlyGame() {
        _onlyGame();
        _;
    }

    /// @param params fixed for good; a conviction must burn at least half of the claimant's bond
    /// @param game_ deployed before, for the address of this contract and with the same parameters
    constructor(Params memory params, IDisputeGame game_) Postings(params.claimBond, params.withdrawalDelay) {
        uint256 paid = uint256(params.reward) + params.collectFee;
        if (
            Duration.unwrap(params.window) == 0 || Duration.unwrap(params.clock) == 0
                || Duration.unwrap(params.spacing) == 0
                || Duration.unwrap(params.spacing) > Duration.unwrap(params.window)
                || Duration.unwrap(params.withdrawalDelay) == 0 || params.arity == 0 || params.arity > 8
                || params.claimBond == 0 || params.claimBond > type(uint80).max || params.challengeBond == 0
                || params.challengeBond > type(uint80).max || 2 * paid > params.claimBond
                || params.collectFee > params.challengeBond
        ) revert BadParams();
        if (game_.boundTo() != keccak256(abi.encode(address(this), params))) revert OtherGame(game_);
        _params = params;
        WINDOW = params.window;
        SPACING = params.spacing;
        // What it shows is the time; and no first challenge pays for a new slot.
        _clock.resumesAt = currentTime();
        game = game_;
    }

    /// @notice The parameters of this deployment.
    function parameters() external view returns (Params memory) {
        return _params;
    }

    /// @notice Posts groups of claims; anyone may. A group that is not in order is refused, the others are not touched by it.
    function postBatch(Group[] calldata groups) external returns (uint256 batchId) {
        batchId = batchCount++;
        bytes32 domain = domainSeparator();
        uint256 count = 0;
        for (uint256 j = 0; j < groups.length; ++j) {
            count += _sizeOf(groups[j]);
        }
        if (count == 0) revert EmptyBatch();
        bytes32[] memory leaves = Merkle.padding(count);
        uint256 first = 0;
        for (uint256 j = 0; j < groups.length; ++j) {
            uint256 size = _sizeOf(groups[j]);
            (uint256[] memory posted, uint256 total) = _post(groups[j], domain, batchId, leaves, first, size);
            // forge-lint: disable-next-line(unsafe-typecast) no block holds 2**32 claims
            if (size > 1 && total != 0) _rows[batchId][first] = Row(groups[j].claimant, uint32(size));
            if (total != size && total != 0) _withhold(batchId, first, size, posted);
            first += size;
        }
        bytes32 root = Merkle.batch(leaves);
        Timestamp closesAt = _reading().plus(WINDOW);
        // forge-lint: disable-next-line(unsafe-typecast) as above
        batches[batchId] = Batch(root, currentTime(), closesAt, uint32(count), 0);
        emit BatchPosted(batchId, root, count, currentTime(), closesAt);
    }

    /// @notice Frees the bonds of final groups, each by one write; anyone may. It passes over claims that were challenged, and
    ///         those that share their bit in `Batch.challenged`: `release` frees them one by one.
    /// @param places of groups of two claims or more: the batch, and the index of the group's first claim
    function releaseGroups(Place[] calldata places) external {
        uint256 freed = 0;
        for (uint256 j = 0; j < places.length; ++j) {
            Batch storage batch = batches[places[j].batchId];
            if (!(_reading() > batch.closesAt)) continue;
            freed += _releaseRow(places[j].batchId, places[j].first, batch.challenged);
        }
        if (freed == 0) revert NothingToRelease();
    }

    /// @notice Frees the bond of a final claim; anyone may.
    function release(Claim calldata claim, Inclusion calldata inclusion) external {
        ClaimId claimId = claimIdOf(claim);
        Status current = status(claim, inclusion);
        if (current != Status.Final) revert NotFinal(claimId, current);
        if (isReleased(inclusion.batchId, inclusion.index)) revert AlreadyReleased(claimId);
        _release(claim.claimant, inclusion);
    }

    /// @notice Frees the bonds of many final claims; anyone may. Passes over those that are not final or were released before,
    ///         so that nobody can spoil it by being faster.
    function releaseAll(Claim[] calldata claims, Inclusion[] calldata inclusions) external {
        for (uint256 j = 0; j < claims.length; ++j) {
            Inclusion calldata inclusion = inclusions[j];
            if (status(claims[j], inclusion) != Status.Final) continue;
            if (isReleased(inclusion.batchId, inclusion.index)) continue;
            _release(claims[j].claimant, inclusion);
        }
    }

    /// @notice Burns a bond of a claimant that signed a claim and made it impossible to post by having another one posted with its
    ///         nonce; anyone may show it. A signed claim is a promise to whoever holds it: who does can post it itself until it
    ///         expires. (A claim that answers a request is none: its claimant promises nothing to anybody.)
    /// @param promised signed by its claimant, and posted nowhere
    /// @param posted in its place, before it expired
    function breakPromise(
        Claim calldata promised,
        bytes calldata signature,
        Claim calldata posted,
        Inclusion calldata inclusion
    ) external {
        bytes32 domain = domainSeparator();
        (ClaimId name, ClaimId other) = (Claims.id(promised, domain), Claims.id(posted, domain));
        address claimant = promised.claimant;
        if (
            claimant != posted.claimant || promised.nonce != posted.nonce
                || ClaimId.unwrap(name) == ClaimId.unwrap(other) || promised.requestId != 0
                || !_isIncluded(other, inclusion)
                || Timestamp.unwrap(batches[inclusion.batchId].postedAt) > promised.validUntil
                || !Claims.signedBy(ClaimId.unwrap(name), signature, claimant)
                || _brokenPromises[claimant].has(promised.nonce)
        ) revert NoBrokenPromise(name, other);
        _brokenPromises[claimant].add(promised.nonce);
        emit PromiseBroken(claimant, name, other, _burnFree(claimant, CLAIM_BOND));
    }

    /// @notice Takes the bond of a challenge to a posted claim from the value sent and the challenger's earnings; reverts if
    ///         the proof does not place the claim in that batch, or the challenge period is over. Only the game may.
    /// @param isFirst whether it is the first challenge to the claim, which stops the chain's clock for a while
    /// @return policy of the claim's model
    /// @return traceDepth levels from its trace roots down to the entries
    /// @return leafDepth levels from its trace roots down to the leaves
    function admit(
        ClaimId claimId,
        ModelId modelId,
        Inclusion calldata inclusion,
        address challenger,
        uint256 bond,
        bool isFirst
    ) external payable onlyGame returns (TracePolicy policy, uint8 traceDepth, uint8 leafDepth) {
        if (!_isIncluded(claimId, inclusion)) revert NotIncluded(claimId, inclusion.batchId);
        Timestamp closesAt = batches[inclusion.batchId].closesAt;
        if (_reading() > closesAt) revert WindowOver(closesAt, _reading());
        if (isFirst) {
            batches[inclusion.batchId].challenged |= uint128(Bits.one(inclusion.index & 127));
            Stops memory clock = _clock.stop(currentTime(), SPACING);
            _clock = clock;
            emit ClockStopped(clock.resumesAt, clock.stopped);
        }
        Model storage model = _model(modelId);
        (policy, traceDepth, leafDepth) = (model.policy, model.traceDepth, model.traceDepth + model.tensorDepth);
        _lockEarned(challenger, bond, msg.value);
    }

    /// @notice Frees a challenger's bond whole. Only the game may.
    function unlock(address challenger, uint256 bond) external onlyGame {
        _unlockEarned(challenger, bond);
    }

    /// @notice Takes a challenger's bond, pays from it and burns the rest. Only the game may.
    function forfeit(address challenger, uint256 bond, Payment[] calldata payments) external onlyGame {
        _forfeit(challenger, bond, payments);
    }

    /// @notice Takes the bond of an invalid claim, pays from it and burns the rest; frees the bond of the challenger that
    ///         won. Only the game may, which keeps for good that the claim is invalid.
    function convict(
        ClaimId claimId,
        address claimant,
        address challenger,
        uint256 challengersBond,
        Payment[] calldata payments
    ) external onlyGame {
        _unlockEarned(challenger, challengersBond);
        _forfeit(claimant, CLAIM_BOND, payments);
        emit ClaimInvalid(claimId);
    }

    /// @notice The clock by which challenge periods are measured. At time t it shows `max(t, resumesAt) - stopped`; a batch is
    ///         over once it shows more than the batch's `closesAt`.
    function challengeClock() external view returns (Timestamp resumesAt, uint40 stopped) {
        return (_clock.resumesAt, _clock.stopped);
    }

    /// @notice Whether the claim is accepted for good: posted, the challenge period over, no game open, not invalid.
    function isFinal(Claim calldata claim, Inclusion calldata inclusion) external view returns (bool) {
        return status(claim, inclusion) == Status.Final;
    }

    /// @notice Whether the bond of the claim at `index` of a batch was released.
    function isReleased(uint256 batchId, uint256 index) public view returns (bool) {
        return _released[batchId].has(index);
    }

    /// @notice What L1 says about the claim; `Unknown` if the proof does not place it in that batch.
    function status(Claim calldata claim, Inclusion calldata inclusion) public view returns (Status) {
        ClaimId claimId = claimIdOf(claim);
        if (!_isIncluded(claimId, inclusion)) return Status.Unknown;
        // slither-disable-next-line calls-loop the game is part of the deployment
        (uint256 openGames, bool convicted) = game.standingOf(claimId);
        if (convicted) return Status.Invalid;
        if (openGames != 0) return Status.Challenged;
        return _reading() > batches[inclusion.batchId].closesAt ? Status.Final : Status.Posted;
    }

    /// @notice The claim's id: its EIP-712 digest.
    function claimIdOf(Claim calldata claim) public view returns (ClaimId) {
        return Claims.id(claim, domainSeparator());
    }

    /// @dev What is not posted has no bond that could be freed with its group.
    function _withhold(uint256 batchId, uint256 first, uint256 size, uint256[] memory posted) private {
        for (uint256 j = 0; j < size; ++j) {
            if (!posted.has(j)) _released[batchId].add(first + j);
        }
    }

    /// @dev Returns how many bonds it freed.
    function _releaseRow(uint256 batchId, uint256 first, uint256 challenged) private returns (uint256 freed) {
        Row memory row = _rows[batchId][first];
        uint256 end = first + row.count;
        for (uint256 word = first >> 8; word << 8 < end; ++word) {
            uint256 from = first > word << 8 ? first & 255 : 0;
            uint256 to = end - (word << 8) < 256 ? end - (word << 8) : 256;
            uint256 claims = Bits.range(from, to) & ~(challenged | challenged << 128) & ~_released[batchId][word];
            if (claims == 0) continue;
            _released[batchId][word] |= claims;
            freed += Bits.count(claims);
            emit Released(batchId, row.claimant, word, claims);
        }
        if (freed != 0) _unlockFree(row.claimant, freed * CLAIM_BOND);
    }

    function _release(address claimant, Inclusion calldata inclusion) private {
        _released[inclusion.batchId].add(inclusion.index);
        _unlockFree(claimant, CLAIM_BOND);
        emit Released(inclusion.batchId, claimant, inclusion.index >> 8, Bits.one(inclusion.index));
    }

    function _isIncluded(ClaimId claimId, Inclusion calldata inclusion) private view returns (bool) {
        Batch storage batch = batches[inclusion.batchId];
        uint256 count = batch.count;
        if (inclusion.index >= count || inclusion.proof.length != Header.depthFor(count)) return false;
        bytes32 leaf = Merkle.claimLeaf(ClaimId.unwrap(claimId));
        return Merkle.batchBranch(leaf, inclusion.index, inclusion.proof) == batch.root;
    }

    function _reading() private view returns (Timestamp) {
        return _clock.reading(currentTime());
    }

    function _onlyGame() private view {
        if (msg.sender != address(game)) revert NotGame(msg.sender);
    }
}
