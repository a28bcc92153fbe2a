// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Answering} from "./Answering.sol";
import {Callbacks} from "./Callbacks.sol";
import {IDisputeGame} from "./interfaces/IDisputeGame.sol";
import {BlockHeader} from "./libraries/BlockHeader.sol";
import {Claim, Group, Inclusion, Section, Status} from "./types/Claim.sol";
import {ClaimId} from "./types/Ids.sol";
import {Opening, Progress, Request, Round} from "./types/Request.sol";

/// @title Quorums
/// @notice Answers that do not wait for finality: provers commit, then post their claims, and if all are the same the consumer is
///         told. It decides nothing: every answer is a bonded claim that anybody can dispute, and whatever keeps a quorum from
///         agreeing leaves the request to a final claim.
abstract contract Quorums is Answering, Callbacks {
    /// @notice A committee is drawn by the randomness of so many blocks after the request's. The one in between has a proposer who
    ///         does not know it while the request can still be changed.
    uint256 public constant DRAW_BLOCKS = 2;
    /// @notice Answers are revealed in the blocks after the last commitment, so many at most.
    uint256 public constant REVEAL_BLOCKS = 8;

    /// @dev `Revealed`: counts for the quorum, and holds a share if its prover was drawn.
    enum Reply {
        None,
        Revealed,
        Settled
    }

    mapping(bytes32 requestId => mapping(address prover => bytes32 commitment)) private _promised;
    mapping(bytes32 requestId => mapping(ClaimId claimId => Reply reply)) private _replies;
    mapping(bytes32 requestId => ClaimId[] claims) private _claims;

    /// @notice These answer for the quorum of the request.
    event Drawn(bytes32 indexed requestId, bytes32 indexed committee);
    /// @notice A prover committed to its answer.
    event AnswerCommitted(bytes32 indexed requestId, address indexed prover, bytes32 commitment);
    /// @notice All have committed: answers can be revealed from the next block on.
    event Sealed(bytes32 indexed requestId);
    /// @notice A prover's answer is posted.
    event AnswerRevealed(bytes32 indexed requestId, ClaimId indexed claimId, address indexed prover, uint256 batchId);
    /// @notice The claim has another output than the first: the request waits for finality.
    event Disagreed(bytes32 indexed requestId, ClaimId indexed claimId);
    /// @notice All answers have this output.
    event Agreed(bytes32 indexed requestId, bytes32 outputRoot);
    /// @notice A claim of a quorum has ended, and with it what waited for it: its prover has earned `paid`, or the requester has
    ///         `refunded` of the fee back.
    event Settled(bytes32 indexed requestId, ClaimId indexed claimId, uint256 paid, uint256 royalty, uint256 refunded);

    /// @notice The request asks for no quorum, or for another kind of committee.
    error NoQuorum(bytes32 requestId);
    /// @notice Its committee is drawn behind block `number`, and until the chain forgets that block's hash.
    error NotDrawable(bytes32 requestId, uint256 number);
    /// @notice Its committee was drawn before.
    error AlreadyDrawn(bytes32 requestId);
    /// @notice The bytes are not the header of block `number`.
    error WrongHeader(uint256 number);
    /// @notice The prover is not in the committee, or has committed before; or there is nothing in the commitment.
    error NotExpected(bytes32 requestId, address prover);
    /// @notice This was possible until block `number`.
    error TooLate(bytes32 requestId, uint256 number);
    /// @notice Answers can be revealed behind block `number`, in which the last prover commits; 0 if it has not yet.
    error TooEarly(bytes32 requestId, uint256 number);
    /// @notice This is not what the prover committed to.
    error WrongOpening(bytes32 requestId, ClaimId claimId);
    /// @notice The claim was revealed before.
    error AlreadyRevealed(bytes32 requestId, ClaimId claimId);
    /// @notice The chain did not take the claim, or it is invalid already.
    error NotPosted(ClaimId claimId, Status status);
    /// @notice The quorum can still agree, until block `number`.
    error Undecided(bytes32 requestId, uint256 number);
    /// @notice The claim did not answer for this quorum, or was settled before.
    error NothingToSettle(bytes32 requestId, ClaimId claimId);
    /// @notice The claim is neither final nor invalid.
    error NotEnded(ClaimId claimId, Status status);

    /// @notice Draws the committee of a request; anyone may, and nobody has a choice in it.
    /// @param header the RLP header of the block `DRAW_BLOCKS` after the request's
    function draw(Request calldata asked, bytes calldata header) external {
        bytes32 requestId = _openRequest(asked);
        Round storage round = _rounds[requestId];
        if (asked.quorum == 0 || asked.committee != 0) revert NoQuorum(requestId);
        if (round.committee != 0) revert AlreadyDrawn(requestId);
        Standing memory standing = _standings[requestId];
        uint256 number = standing.madeAt + DRAW_BLOCKS;
        bytes32 blockHash = blockhash(number);
        if (blockHash == 0) revert NotDrawable(requestId, number);
        if (keccak256(header) != blockHash) revert WrongHeader(number);
        bytes32 seed = keccak256(abi.encode(requestId, BlockHeader.randomness(header)));
        bytes32 committee = PROVERS.draw(asked.modelId, standing.places, standing.madeAt, asked.quorum, seed);
        (round.committee, round.pickedUp) = (committee, uint40(block.number));
        emit Drawn(requestId, committee);
    }

    /// @notice Commits the sender to its answer (`commitmentOf`), as a member of the request's committee.
    function commitAnswer(Request calldata asked, bytes32 commitment) external {
        bytes32 requestId = _openRequest(asked);
        Round storage round = _rounds[requestId];
        bytes32 committee = _committeeOf(asked, requestId);
        bool isExpected =
            PROVERS.isMember(committee, msg.sender) && commitment != 0 && _promised[requestId][msg.sender] == 0;
        if (!isExpected) revert NotExpected(requestId, msg.sender);
        uint256 last = (asked.committee != 0 ? _standings[requestId].madeAt : round.pickedUp) + asked.commitBlocks;
        if (block.number > last) revert TooLate(requestId, last);
        _promised[requestId][msg.sender] = commitment;
        round.committed += 1;
        emit AnswerCommitted(requestId, msg.sender, commitment);
        if (round.committed == asked.quorum) {
            round.sealedAt = uint40(block.number);
            emit Sealed(requestId);
        }
    }

    /// @notice Reveals a prover's answer: posts its claim, unless somebody has posted it, and tells the consumer if it is the last
    ///         of a quorum and all are the same. Anyone who knows the salt may; it counts for the prover that committed.
    /// @param opening without the output's bytes, nobody is told yet (`deliver`)
    /// @param inclusion where the claim is if it is posted already
    // slither-disable-next-line reentrancy-events,reentrancy-benign,reentrancy-no-eth the chain calls nobody; what follows is written before the consumer is called
    function revealAnswer(
        Request calldata asked,
        bytes calldata data,
        Opening calldata opening,
        Inclusion memory inclusion
    ) external {
        bytes32 requestId = _openRequest(asked);
        if (keccak256(data) != asked.dataHash) revert WrongData(requestId);
        Round storage round = _rounds[requestId];
        _requireRevealing(requestId, round.sealedAt);
        ClaimId claimId = CHAIN.claimIdOf(opening.claim);
        address prover = opening.claim.claimant;
        bytes32 commitment = _promised[requestId][prover];
        if (commitment == 0 || commitment != commitmentOf(requestId, prover, claimId, opening.salt)) {
            revert WrongOpening(requestId, claimId);
        }
        if (_replies[requestId][claimId] != Reply.None) revert AlreadyRevealed(requestId, claimId);
        inclusion = _posted(opening, inclusion, claimId);
        _requireAnswering(asked, requestId, opening.claim, inclusion);

        if (asked.committee == 0) PROVERS.hold(prover);
        _replies[requestId][claimId] = Reply.Revealed;
        _claims[requestId].push(claimId);
        round.revealed += 1;
        emit AnswerRevealed(requestId, claimId, prover, inclusion.batchId);
        if (round.revealed == 1) {
            round.outputRoot = opening.claim.outputRoot;
        } else if (round.outputRoot != opening.claim.outputRoot) {
            round.isSplit = true;
            emit Disagreed(requestId, claimId);
        }
        bool isAgreed = round.revealed == asked.quorum && !round.isSplit && !_isDoubted(requestId);
        if (isAgreed) _agree(asked, requestId, opening.output, data);
    }

    /// @notice Draws the consequences of what became of a claim of a quorum; anyone may. The share behind it is free, or taken. Of a
    ///         request that was agreed, the claim's part of the fee is its prover's, or the requester's again.
    function settle(Request calldata asked, Claim calldata claim, Inclusion calldata inclusion) external {
        bytes32 requestId = requestIdOf(asked);
        ClaimId claimId = CHAIN.claimIdOf(claim);
        if (_replies[requestId][claimId] != Reply.Revealed) revert NothingToSettle(requestId, claimId);
        Round storage round = _rounds[requestId];
        uint256 last = round.sealedAt + REVEAL_BLOCKS;
        if (!round.isAgreed && !round.isSplit && !(block.number > last)) revert Undecided(requestId, last);
        Status status = CHAIN.status(claim, inclusion);
        if (status != Status.Final && status != Status.Invalid) revert NotEnded(claimId, status);
        _replies[requestId][claimId] = Reply.Settled;
        if (asked.committee == 0) {
            if (status == Status.Final) PROVERS.release(claim.claimant);
            else PROVERS.forfeit(claim.claimant);
        }
        if (round.isAgreed) _share(asked, requestId, claimId, claim.claimant, status == Status.Final);
        else emit Settled(requestId, claimId, 0, 0, 0);
    }

    /// @notice What a prover commits to. The salt is a secret until it reveals.
    function commitmentOf(bytes32 requestId, address prover, ClaimId claimId, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode("Answer", block.chainid, address(this), requestId, prover, claimId, salt));
    }

    /// @notice How far the quorum of a request is.
    function roundOf(bytes32 requestId) external view returns (Round memory) {
        return _rounds[requestId];
    }

    /// @dev Whether a claim that agreed is invalid: then nobody is told what they said.
    function _isDoubted(bytes32 requestId) internal view returns (bool) {
        ClaimId[] storage claims = _claims[requestId];
        IDisputeGame game = CHAIN.game();
        for (uint256 j = 0; j < claims.length; ++j) {
            // slither-disable-next-line calls-loop,unused-return nine claims at most; the game is part of the deployment
            (, bool convicted) = game.standingOf(claims[j]);
            if (convicted) return true;
        }
        return false;
    }

    function _requireRevealing(bytes32 requestId, uint256 sealedAt) private view {
        if (sealedAt == 0 || !(block.number > sealedAt)) revert TooEarly(requestId, sealedAt);
        uint256 last = sealedAt + REVEAL_BLOCKS;
        if (block.number > last) revert TooLate(requestId, last);
    }

    /// @dev Where the claim is on the chain; posts it if it is not there.
    function _posted(Opening calldata opening, Inclusion memory inclusion, ClaimId claimId)
        private
        returns (Inclusion memory)
    {
        Status status = CHAIN.status(opening.claim, inclusion);
        if (status == Status.Unknown) {
            inclusion = Inclusion(CHAIN.postBatch(_groupOf(opening)), 0, new bytes32[](0));
            status = CHAIN.status(opening.claim, inclusion);
        }
        if (status == Status.Unknown || status == Status.Invalid) revert NotPosted(claimId, status);
        return inclusion;
    }

    /// @dev The claim as a group of its own.
    function _groupOf(Opening calldata opening) private pure returns (Group[] memory groups) {
        Claim calldata claim = opening.claim;
        bytes memory input = opening.input.length == 0 ? abi.encode(claim.inputRoot) : opening.input;
        bytes memory output = opening.output.length == 0 ? abi.encode(claim.outputRoot) : opening.output;
        Section[] memory sections = new Section[](1);
        sections[0] = Section({
            modelId: claim.modelId,
            count: 1,
            // forge-lint: disable-next-item(unsafe-typecast) of a transaction's calldata
            inputBytes: uint32(input.length),
            // forge-lint: disable-next-item(unsafe-typecast) of a transaction's calldata
            outputBytes: uint32(output.length),
            inputUploaded: opening.input.length == 0,
            outputUploaded: opening.output.length == 0,
            named: true,
            records: bytes.concat(
                claim.requestId, claim.traceRoot == 0 ? bytes("") : abi.encode(claim.traceRoot), input, output
            )
        });
        groups = new Group[](1);
        groups[0] = Group(claim.claimant, claim.nonce, claim.validUntil, sections, opening.signature);
    }

    function _agree(Request calldata asked, bytes32 requestId, bytes calldata output, bytes calldata data) private {
        Round storage round = _rounds[requestId];
        round.isAgreed = true;
        _standings[requestId].progress = Progress.Agreed;
        emit Agreed(requestId, round.outputRoot);
        if (output.length != 0) {
            _requireOutput(asked.modelId, round.outputRoot, output);
            if (_call(asked, requestId, output, "", data)) {
                emit Delivered(requestId);
                return;
            }
        }
        _outputs[requestId] = round.outputRoot;
        emit CallbackFailed(requestId);
    }

    /// @dev One of `quorum` parts of the fee; the first that is settled has what is left of a division.
    function _share(Request calldata asked, bytes32 requestId, ClaimId claimId, address prover, bool isFinal) private {
        Round storage round = _rounds[requestId];
        uint256 part = asked.fee / asked.quorum;
        if (round.settled == 0) part = asked.fee - part * (asked.quorum - 1);
        round.settled += 1;
        if (isFinal) {
            uint256 royalty = part * asked.royalty / 10_000;
            earned[asked.author] += royalty;
            earned[prover] += part - royalty;
            Standing storage standing = _standings[requestId];
            if (standing.progress == Progress.Agreed) {
                standing.progress = _outputs[requestId] == 0 ? Progress.Answered : Progress.Undelivered;
            }
            emit Settled(requestId, claimId, part - royalty, royalty, 0);
            return;
        }
        earned[asked.requester] += part;
        round.invalid += 1;
        if (round.invalid == asked.quorum) {
            _standings[requestId].progress = Progress.Refunded;
            delete _outputs[requestId];
        }
        emit Settled(requestId, claimId, 0, 0, part);
    }
}
