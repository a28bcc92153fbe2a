// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DisputeGame} from "./DisputeGame.sol";
import {Entries} from "./Entries.sol";
import {Ledger} from "./Ledger.sol";
import {Uploads} from "./Uploads.sol";
import {IOneStepProver} from "./interfaces/IOneStepProver.sol";
import {IRollupChain} from "./interfaces/IRollupChain.sol";
import {Claims} from "./libraries/Claims.sol";
import {Header} from "./libraries/Header.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {StoppingClock, Stops} from "./libraries/StoppingClock.sol";
import {Claim, Inclusion, Posting, Status} from "./types/Claim.sol";
import {ClaimId, ModelId} from "./types/Ids.sol";
import {Model, Tensor, TracePolicy} from "./types/Model.sol";
import {Params} from "./types/Params.sol";
import {Payment} from "./types/Payment.sol";
import {Duration, Timestamp, currentTime} from "./types/Time.sol";

/// @title RollupChain
/// @notice Models, bonds, batches of claims, finality. Nobody owns it and nothing can be changed: the dispute game that it
///         deploys is the only other contract that it listens to.
/// @dev Challenge periods are measured by a clock that stops for a while whenever a claim is challenged for the first time, so
///      that no number of false claims can run out the time in which a watcher can challenge them all.
///      It has all functions of `IRollupChain`, some of them from its bases, which know nothing of the game.
// slither-disable-next-line missing-inheritance
contract RollupChain is Ledger, Uploads, Entries {
    using StoppingClock for Stops;

    /// @notice A batch of claims.
    /// @param root of its tree
    /// @param postedAt when it was posted
    /// @param closesAt last reading of the challenge clock at which its claims can be challenged for the first time
    /// @param count its claims, skipped ones included
    struct Batch {
        bytes32 root;
        Timestamp postedAt;
        Timestamp closesAt;
        uint32 count;
    }

    /// @notice Input and output of one posting are at most this many bytes; larger ones are uploaded before.
    uint256 public constant MAX_POSTED_BYTES = 96 * 1024;

    /// @notice Where claims are disputed.
    DisputeGame public immutable game;

    /// @notice Batches posted so far; their ids count from 0.
    uint256 public batchCount;
    /// @notice A batch by its id.
    mapping(uint256 batchId => Batch batch) public batches;

    uint256 private immutable CLAIM_BOND;
    Duration private immutable WINDOW;
    Duration private immutable SPACING;
    Duration private immutable CANCEL_DELAY;

    Params private _params;
    Stops private _clock;
    mapping(address claimant => mapping(uint256 word => uint256 bits)) private _usedNonces;
    /// @dev Of nonces that have their bit, those that can still be used until then.
    mapping(address claimant => mapping(uint256 nonce => Timestamp time)) private _cancelledFrom;
    mapping(uint256 batchId => mapping(uint256 word => uint256 bits)) private _released;

    /// @notice A batch was posted. Its tree has the padding leaf wherever a claim was skipped.
    event BatchPosted(uint256 indexed batchId, bytes32 root, uint256 count, Timestamp postedAt, Timestamp closesAt);
    /// @notice A claim is posted and its bond locked. Empty bytes stand for what was uploaded before.
    event ClaimPosted(
        uint256 indexed batchId, uint256 index, ClaimId indexed claimId, Claim claim, bytes input, bytes output
    );
    /// @notice A claim of the batch was not accepted; `reason` is the selector of the error that says why.
    event ClaimSkipped(uint256 indexed batchId, uint256 index, ClaimId indexed claimId, bytes4 reason);
    /// @notice A final claim's bond is free again.
    event ClaimReleased(uint256 indexed batchId, uint256 index, ClaimId indexed claimId);
    /// @notice A claim was proven false, or not defended in time.
    event ClaimInvalid(ClaimId indexed claimId);
    /// @notice The claimant's nonce can't be used any more from `time` on.
    event NonceCancelled(address indexed claimant, uint256 nonce, Timestamp time);
    /// @notice A claim was challenged for the first time: the challenge clock stops until `resumesAt`, and will then have
    ///         stopped for `stopped` seconds in all.
    event ClockStopped(Timestamp resumesAt, uint40 stopped);

    /// @notice Parameters under which lying, challenging or losing is free, or under which no game can be played.
    error BadParams();
    /// @notice A batch has at least one claim.
    error EmptyBatch();
    /// @notice Only the dispute game may call this.
    error NotGame(address caller);
    /// @notice The claimant has used or cancelled this nonce; sign with another.
    error NonceUsed(address claimant, uint256 nonce);
    /// @notice The signature is not the claimant's (65 bytes, low s).
    error BadSignature();
    /// @notice The claim could be posted until `validUntil` only.
    error ClaimExpired(uint64 validUntil);
    /// @notice The model's trace policy is "with the claim", and the claim has no trace root.
    error TraceRootMissing();
    /// @notice The model's trace policy is "on dispute", and the claim has a trace root.
    error TraceRootUnexpected();
    /// @notice Input and output have more than 96 KiB; upload them before.
    error PostingTooLarge(uint256 byteLength);
    /// @notice The input does not have the bytes that the model's header asks for.
    error InputLength(uint256 given, uint256 needed);
    /// @notice The output does not have the bytes that the model's header asks for.
    error OutputLength(uint256 given, uint256 needed);
    /// @notice The posted (or uploaded) input does not have the claim's input root.
    error InputRootMismatch();
    /// @notice The posted (or uploaded) output does not have the claim's output root.
    error OutputRootMismatch();
    /// @notice The challenge clock shows `reading`, and the challenge period was over behind `closesAt`.
    error WindowOver(Timestamp closesAt, Timestamp reading);
    /// @notice The proof does not place the claim in this batch.
    error NotIncluded(ClaimId claimId, uint256 batchId);
    /// @notice The claim is not final.
    error NotFinal(ClaimId claimId, Status status);
    /// @notice The claim's bond was released before.
    error AlreadyReleased(ClaimId claimId);

    modifier onlyGame() {
        _onlyGame();
        _;
    }

    /// @param params fixed for good; a conviction must burn at least half of the claimant's bond
    /// @param prover decides about single elements
    constructor(Params memory params, IOneStepProver prover) Ledger(params.withdrawalDelay) {
        uint256 paid = uint256(params.reward) + params.collectFee;
        if (
            Duration.unwrap(params.window) == 0 || Duration.unwrap(params.clock) == 0
                || Duration.unwrap(params.spacing) == 0
                || Duration.unwrap(params.spacing) > Duration.unwrap(params.window)
                || Duration.unwrap(params.withdrawalDelay) == 0 || params.arity == 0 || params.arity > 8
                || params.claimBond == 0 || params.claimBond > type(uint80).max || params.challengeBond == 0
                || params.challengeBond > type(uint80).max || 2 * paid > params.claimBond
                || params.collectFee > params.challengeBond || address(prover).code.length == 0
        ) revert BadParams();
        _params = params;
        CLAIM_BOND = params.claimBond;
        WINDOW = params.window;
        SPACING = params.spacing;
        CANCEL_DELAY = params.withdrawalDelay;
        // What it shows is the time; and no first challenge pays for a new slot.
        _clock.resumesAt = currentTime();
        game = new DisputeGame(params, prover, IRollupChain(address(this)));
    }

    /// @notice The parameters of this deployment.
    function parameters() external view returns (Params memory) {
        return _params;
    }

    /// @notice Makes an unused nonce of the sender unusable, after as long as a withdrawal has to wait: what is being posted
    ///         with it can't be spoiled.
    function cancelNonce(uint256 nonce) external {
        if (_get(_usedNonces[msg.sender], nonce)) revert NonceUsed(msg.sender, nonce);
        Timestamp time = currentTime().plus(CANCEL_DELAY);
        _set(_usedNonces[msg.sender], nonce);
        _cancelledFrom[msg.sender][nonce] = time;
        emit NonceCancelled(msg.sender, nonce, time);
    }

    /// @notice Posts signed claims; anyone may. A claim that is not in order is skipped, the others are not touched by it.
    function postBatch(Posting[] calldata postings) external returns (uint256 batchId) {
        uint256 count = postings.length;
        if (count == 0) revert EmptyBatch();
        batchId = batchCount++;
        bytes32 domain = domainSeparator();
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 j = 0; j < count; ++j) {
            leaves[j] = _post(postings[j], domain, batchId, j);
        }
        bytes32 root = Merkle.batch(leaves);
        Timestamp closesAt = _reading().plus(WINDOW);
        // forge-lint: disable-next-line(unsafe-typecast) no block holds 2**32 postings
        batches[batchId] = Batch({root: root, postedAt: currentTime(), closesAt: closesAt, count: uint32(count)});
        emit BatchPosted(batchId, root, count, currentTime(), closesAt);
    }

    /// @notice Frees the bond of a final claim; anyone may.
    function release(Claim calldata claim, Inclusion calldata inclusion) external {
        ClaimId claimId = claimIdOf(claim);
        Status current = status(claim, inclusion);
        if (current != Status.Final) revert NotFinal(claimId, current);
        if (isReleased(inclusion.batchId, inclusion.index)) revert AlreadyReleased(claimId);
        _release(claimId, claim.claimant, inclusion);
    }

    /// @notice Frees the bonds of many final claims; anyone may. Passes over those that are not final or were released before,
    ///         so that nobody can spoil it by being faster.
    function releaseAll(Claim[] calldata claims, Inclusion[] calldata inclusions) external {
        for (uint256 j = 0; j < claims.length; ++j) {
            Inclusion calldata inclusion = inclusions[j];
            if (status(claims[j], inclusion) != Status.Final) continue;
            if (isReleased(inclusion.batchId, inclusion.index)) continue;
            _release(claimIdOf(claims[j]), claims[j].claimant, inclusion);
        }
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

    /// @notice Whether the claimant's nonce was used, or its cancellation has taken effect.
    function isNonceUsed(address claimant, uint256 nonce) public view returns (bool) {
        return _get(_usedNonces[claimant], nonce) && !(_cancelledFrom[claimant][nonce] > currentTime());
    }

    /// @notice Whether the bond of the claim at `index` of a batch was released.
    function isReleased(uint256 batchId, uint256 index) public view returns (bool) {
        return _get(_released[batchId], index);
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

    /// @notice The input (or output) root of the tensors' bytes, in the header's order; reverts if their length is another one.
    function rootOf(ModelId modelId, bool isOutput, bytes calldata data) external view returns (bytes32) {
        Model storage model = _model(modelId);
        Tensor[] storage tensors = isOutput ? model.outputs : model.inputs;
        uint256 needed = _byteLength(tensors);
        if (data.length != needed) {
            if (isOutput) revert OutputLength(data.length, needed);
            revert InputLength(data.length, needed);
        }
        return _root(data, tensors, model.tensorDepth);
    }

    /// @notice The EIP-712 domain `Touchstone`, version `1`, of this contract on this chain.
    function domainSeparator() public view returns (bytes32) {
        return Claims.domain(address(this));
    }

    /// @dev Returns the posting's leaf in the batch.
    function _post(Posting calldata posting, bytes32 domain, uint256 batchId, uint256 index) private returns (bytes32) {
        Claim calldata claim = posting.claim;
        ClaimId claimId = Claims.id(claim, domain);
        bytes4 reason = _refusal(posting, claimId);
        if (reason != 0) {
            emit ClaimSkipped(batchId, index, claimId, reason);
            return Merkle.PADDING_LEAF;
        }
        _useNonce(claim.claimant, claim.nonce);
        _lockFree(claim.claimant, CLAIM_BOND);
        emit ClaimPosted(batchId, index, claimId, claim, posting.input, posting.output);
        return Merkle.claimLeaf(ClaimId.unwrap(claimId));
    }

    /// @dev The selector of the error that keeps a posting out, or zero; what is cheap to check comes first.
    // slither-disable-next-line timestamp a few seconds more or less decide about nothing but this posting
    function _refusal(Posting calldata posting, ClaimId claimId) private view returns (bytes4) {
        Claim calldata claim = posting.claim;
        if (!isRegistered(claim.modelId)) return UnknownModel.selector;
        Model storage model = _model(claim.modelId);
        if (model.policy == TracePolicy.WithClaim) {
            if (claim.traceRoot == 0) return TraceRootMissing.selector;
        } else if (claim.traceRoot != 0) {
            return TraceRootUnexpected.selector;
        }
        // forge-lint: disable-next-line(block-timestamp) a few seconds more or less decide about nothing but this posting
        if (block.timestamp > claim.validUntil) return ClaimExpired.selector;
        if (isNonceUsed(claim.claimant, claim.nonce)) return NonceUsed.selector;
        if (balance(claim.claimant) < CLAIM_BOND) return InsufficientBalance.selector;
        if (posting.input.length + posting.output.length > MAX_POSTED_BYTES) return PostingTooLarge.selector;
        if (!Claims.signedBy(ClaimId.unwrap(claimId), posting.signature, claim.claimant)) return BadSignature.selector;

        if (posting.input.length == 0 && isAssembled(claim.modelId, false, claim.inputRoot)) {
            // The bytes were published before.
        } else if (posting.input.length != _byteLength(model.inputs)) {
            return InputLength.selector;
        } else if (_root(posting.input, model.inputs, model.tensorDepth) != claim.inputRoot) {
            return InputRootMismatch.selector;
        }
        if (posting.output.length == 0 && isAssembled(claim.modelId, true, claim.outputRoot)) {
            // The bytes were published before.
        } else if (posting.output.length != _byteLength(model.outputs)) {
            return OutputLength.selector;
        } else if (_root(posting.output, model.outputs, model.tensorDepth) != claim.outputRoot) {
            return OutputRootMismatch.selector;
        }
        return 0;
    }

    function _release(ClaimId claimId, address claimant, Inclusion calldata inclusion) private {
        _set(_released[inclusion.batchId], inclusion.index);
        _unlockFree(claimant, CLAIM_BOND);
        emit ClaimReleased(inclusion.batchId, inclusion.index, claimId);
    }

    function _byteLength(Tensor[] storage tensors) private view returns (uint256 total) {
        for (uint256 j = 0; j < tensors.length; ++j) {
            total += tensors[j].byteLength;
        }
    }

    /// @dev The input or output root of bytes of the right length.
    function _root(bytes calldata data, Tensor[] storage tensors, uint8 tensorDepth) private view returns (bytes32) {
        bytes32[] memory roots = new bytes32[](tensors.length);
        uint256 from = 0;
        for (uint256 j = 0; j < roots.length; ++j) {
            uint256 to = from + tensors[j].byteLength;
            roots[j] = Merkle.tensor(data[from:to], tensorDepth);
            from = to;
        }
        return Merkle.extend(roots, tensorDepth, Header.depthFor(roots.length));
    }

    function _isIncluded(ClaimId claimId, Inclusion calldata inclusion) private view returns (bool) {
        Batch storage batch = batches[inclusion.batchId];
        uint256 count = batch.count;
        if (inclusion.index >= count || inclusion.proof.length != Header.depthFor(count)) return false;
        bytes32 leaf = Merkle.claimLeaf(ClaimId.unwrap(claimId));
        return Merkle.batchBranch(leaf, inclusion.index, inclusion.proof) == batch.root;
    }

    /// @dev What was cancelled but could still be used has its bit already.
    function _useNonce(address claimant, uint256 nonce) private {
        if (_get(_usedNonces[claimant], nonce)) _cancelledFrom[claimant][nonce] = Timestamp.wrap(0);
        else _set(_usedNonces[claimant], nonce);
    }

    function _reading() private view returns (Timestamp) {
        return _clock.reading(currentTime());
    }

    function _onlyGame() private view {
        if (msg.sender != address(game)) revert NotGame(msg.sender);
    }

    function _get(mapping(uint256 word => uint256 bits) storage bitmap, uint256 index) private view returns (bool) {
        return bitmap[index >> 8] & (2 ** (index & 255)) != 0;
    }

    function _set(mapping(uint256 word => uint256 bits) storage bitmap, uint256 index) private {
        bitmap[index >> 8] |= 2 ** (index & 255);
    }
}
