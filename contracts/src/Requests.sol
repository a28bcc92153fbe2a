// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Attached} from "./Attached.sol";
import {Quorums} from "./Quorums.sol";
import {RollupChain} from "./RollupChain.sol";
import {Claim, Inclusion, Status} from "./types/Claim.sol";
import {ClaimId} from "./types/Ids.sol";
import {Level, Progress, Request} from "./types/Request.sol";
import {Duration, Timestamp, currentTime} from "./types/Time.sol";

/// @title Requests
/// @notice Contracts ask here for inferences, pay for them, and are called back with answers that are final. It holds fees in
///         escrow and nothing else: what a claim is worth is the RollupChain's to say.
/// @dev A request is answered by any claim that names it, if its model and input are the request's, it was posted in time by
///      somebody whose claim counts then, and it is final. The first that is shown is paid, once. Everything is written down
///      before a consumer is called, so that one that fails, burns its gas, returns megabytes or comes back in harms itself alone.
contract Requests is Quorums {
    /// @notice How long after `until` nobody can take back the fee: a claim that was posted in time becomes final until then,
    ///         unless it is challenged or the challenge clock stops. Who posted one then notes it (`note`).
    uint40 private immutable GRACE;

    mapping(bytes32 requestId => mapping(ClaimId claimId => bool noted)) private _noted;

    /// @notice A claim that answers the request is posted; as long as it is not invalid the fee stays.
    event Noted(bytes32 indexed requestId, ClaimId indexed claimId);
    /// @notice A claim that was noted is invalid, and holds the fee no more.
    event Struck(bytes32 indexed requestId, ClaimId indexed claimId);
    /// @notice A final claim answered the request, and its claimant has earned the fee but for the author's part.
    event Answered(bytes32 indexed requestId, ClaimId indexed claimId, address indexed claimant, uint256 royalty);
    /// @notice Nobody answered in time; the requester has the fee back.
    event Refunded(bytes32 indexed requestId);

    /// @notice The claim is not final.
    error NotFinal(ClaimId claimId, Status status);
    /// @notice The fee can't be taken back before `time`.
    error NotOver(Timestamp time);
    /// @notice So many claims that answer are noted: show one once it is final, strike off those that are invalid.
    error StillAnswerable(bytes32 requestId, uint32 claims);
    /// @notice The claim is not noted, or not invalid.
    error NothingToStrike(bytes32 requestId, ClaimId claimId);
    /// @notice The callback did not fail.
    error NothingToDeliver(bytes32 requestId);
    /// @notice Why there is no answer: nobody posted a claim in time that became final.
    error RequestExpired(bytes32 requestId);

    constructor(RollupChain chain) Attached(chain) {
        GRACE = 2 * uint40(Duration.unwrap(chain.parameters().window));
    }

    /// @notice Notes that a claim that answers is posted: as long as it is not invalid, the fee can't be taken back. Needed only if
    ///         the claim may not be final in time for `refund`. Any number of claims may be noted: none takes another's place.
    function note(Request calldata asked, Claim calldata claim, Inclusion calldata inclusion) external {
        bytes32 requestId = _openRequest(asked);
        ClaimId claimId = _requireAnswering(asked, requestId, claim, inclusion);
        Status status = CHAIN.status(claim, inclusion);
        if (status == Status.Unknown || status == Status.Invalid) revert NotFinal(claimId, status);
        if (_noted[requestId][claimId]) return;
        _noted[requestId][claimId] = true;
        _standings[requestId].noted += 1;
        emit Noted(requestId, claimId);
    }

    /// @notice Strikes off a noted claim that is invalid, so that it holds the fee no more; anyone may.
    function strike(bytes32 requestId, ClaimId claimId) external {
        (, bool convicted) = CHAIN.game().standingOf(claimId);
        if (!convicted || !_noted[requestId][claimId]) revert NothingToStrike(requestId, claimId);
        delete _noted[requestId][claimId];
        _standings[requestId].noted -= 1;
        emit Struck(requestId, claimId);
    }

    /// @notice Shows the final claim that answers a request: pays its claimant and calls the consumer. Anyone may; the first counts.
    /// @param output the bytes behind the claim's output root
    // slither-disable-next-line reentrancy-events everything is written before the consumer is called
    function answer(
        Request calldata asked,
        bytes calldata data,
        Claim calldata claim,
        Inclusion calldata inclusion,
        bytes calldata output
    ) external {
        bytes32 requestId = _openRequest(asked);
        if (keccak256(data) != asked.dataHash) revert WrongData(requestId);
        ClaimId claimId = _requireAnswering(asked, requestId, claim, inclusion);
        Status status = CHAIN.status(claim, inclusion);
        if (status != Status.Final) revert NotFinal(claimId, status);
        _requireOutput(asked.modelId, claim.outputRoot, output);

        uint256 royalty = uint256(asked.fee) * asked.royalty / 10_000;
        earned[asked.author] += royalty;
        earned[claim.claimant] += asked.fee - royalty;
        _standings[requestId].progress = Progress.Answered;
        emit Answered(requestId, claimId, claim.claimant, royalty);
        if (_call(asked, requestId, output, "", data)) {
            emit Delivered(requestId);
        } else {
            _standings[requestId].progress = Progress.Undelivered;
            _outputs[requestId] = claim.outputRoot;
            emit CallbackFailed(requestId);
        }
    }

    /// @notice Makes a callback again that failed; anyone may. What a quorum agreed on is not told once a claim of it is invalid.
    /// @param output the bytes of the answer
    // slither-disable-next-line reentrancy-events as in `answer`
    function deliver(Request calldata asked, bytes calldata data, bytes calldata output) external {
        bytes32 requestId = requestIdOf(asked);
        bytes32 outputRoot = _outputs[requestId];
        Progress progress = _standings[requestId].progress;
        if (outputRoot == 0 || (progress == Progress.Agreed && _isDoubted(requestId))) {
            revert NothingToDeliver(requestId);
        }
        if (keccak256(data) != asked.dataHash) revert WrongData(requestId);
        _requireOutput(asked.modelId, outputRoot, output);
        delete _outputs[requestId];
        if (progress == Progress.Undelivered) _standings[requestId].progress = Progress.Answered;
        if (_call(asked, requestId, output, "", data)) {
            emit Delivered(requestId);
        } else {
            _standings[requestId].progress = progress;
            _outputs[requestId] = outputRoot;
            emit CallbackFailed(requestId);
        }
    }

    /// @notice Gives the fee back and tells the consumer that there is no answer, once no claim can answer any more; anyone may.
    // slither-disable-next-line reentrancy-events as in `answer`
    function refund(Request calldata asked, bytes calldata data) external {
        bytes32 requestId = _openRequest(asked);
        if (keccak256(data) != asked.dataHash) revert WrongData(requestId);
        Timestamp over = Timestamp.wrap(Timestamp.unwrap(_until(asked, requestId)) + GRACE);
        if (!(currentTime() > over)) revert NotOver(over);
        uint32 noted = _standings[requestId].noted;
        if (noted != 0) revert StillAnswerable(requestId, noted);
        earned[asked.requester] += asked.fee;
        _standings[requestId].progress = Progress.Refunded;
        emit Refunded(requestId);
        bytes memory why = abi.encodeWithSelector(RequestExpired.selector, requestId);
        if (!_call(asked, requestId, "", why, data)) emit CallbackFailed(requestId);
    }

    /// @notice Whether the request was answered by a final claim.
    function isFinalized(bytes32 requestId) external view returns (bool) {
        Progress progress = _standings[requestId].progress;
        return progress == Progress.Answered || progress == Progress.Undelivered;
    }

    /// @notice What the answer of a request may be relied on for now. A consumer asks it when it is told, too.
    function levelOf(bytes32 requestId) external view returns (Level) {
        Progress progress = _standings[requestId].progress;
        if (progress == Progress.Agreed) return Level.Agreed;
        return progress == Progress.Answered || progress == Progress.Undelivered ? Level.Final : Level.None;
    }
}
