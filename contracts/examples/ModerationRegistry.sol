// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {ModelId} from "../src/types/Ids.sol";
import {ClassifierConsumer} from "./ClassifierConsumer.sol";
import {Scores} from "./Scores.sol";

/// @title ModerationRegistry
/// @notice Posts are shown once a text classifier has found them acceptable, by a final answer. Where it is not sure enough, one
///         account decides.
/// @dev The model reads the text's bytes with zeros behind them; its class 0 is "acceptable", every other one a reason to hide.
///      It always says the same about the same text, so nobody asks twice for a better answer.
contract ModerationRegistry is ClassifierConsumer {
    using Scores for bytes;

    /// @dev `Pending`: waits for the answer. `Unanswered`: nobody answered in time; anyone can ask again. `Appealable`: the
    ///      scores are closer than the margin, and the jury decides.
    enum Standing {
        Unknown,
        Pending,
        Unanswered,
        Accepted,
        Hidden,
        Appealable
    }

    /// @notice Bytes that a text has at most.
    uint256 public immutable LENGTH;
    /// @notice The model decides where its scores differ by so much at least, in units of its output.
    uint256 public immutable MARGIN;
    /// @notice Decides the rest.
    address public immutable JURY;

    /// @notice Where a post stands.
    mapping(bytes32 postId => Standing standing) public standingOf;

    /// @notice Somebody posted; the model is asked.
    event Posted(bytes32 indexed postId, bytes32 indexed requestId, address indexed author, bytes text);
    /// @notice A post stands differently now.
    event Moderated(bytes32 indexed postId, Standing standing);

    /// @notice The model reads `most` bytes.
    error TextTooLong(uint256 given, uint256 most);
    /// @notice A classifier of texts knows two classes at least.
    error TooFewClasses(uint256 classes);
    /// @notice The post does not stand so that this is possible.
    error WrongStanding(bytes32 postId, Standing standing);
    /// @notice Only the jury may.
    error NotJury(address caller);

    /// @param width bytes of a score in the model's output
    /// @param margin in units of the model's output
    constructor(Requests requests, ModelId model, uint256 width, uint256 margin, address jury)
        ClassifierConsumer(requests, model, width)
    {
        if (CLASSES < 2) revert TooFewClasses(CLASSES);
        (LENGTH, MARGIN, JURY) = (_byteLength(requests.CHAIN().modelOf(model).inputs), margin, jury);
    }

    /// @notice Posts a text and asks the model about it; the value sent is the fee. Again, by anyone, if nobody answered.
    function post(address author, bytes calldata text) external payable returns (bytes32 postId) {
        if (text.length > LENGTH) revert TextTooLong(text.length, LENGTH);
        postId = postIdOf(author, text);
        Standing standing = standingOf[postId];
        bool isNew = standing == Standing.Unknown && author == msg.sender;
        if (!isNew && standing != Standing.Unanswered) revert WrongStanding(postId, standing);
        standingOf[postId] = Standing.Pending;
        bytes32 requestId = _ask(postId, bytes.concat(text, new bytes(LENGTH - text.length)), "");
        emit Posted(postId, requestId, author, text);
    }

    /// @notice Decides about a post where the model is not sure.
    function rule(bytes32 postId, bool accepted) external {
        if (msg.sender != JURY) revert NotJury(msg.sender);
        Standing standing = standingOf[postId];
        if (standing != Standing.Appealable) revert WrongStanding(postId, standing);
        _set(postId, accepted ? Standing.Accepted : Standing.Hidden);
    }

    /// @notice What names a post: its author and its text.
    function postIdOf(address author, bytes calldata text) public pure returns (bytes32) {
        return keccak256(abi.encode(author, text));
    }

    function _answered(bytes32 subject, bytes calldata output, bytes calldata) internal virtual override {
        int256 acceptable = output.scoreOf(0, WIDTH);
        (, int256 worst) = output.best(1, CLASSES, WIDTH);
        int256 lead = acceptable - worst;
        // forge-lint: disable-next-line(unsafe-typecast) a magnitude
        if (uint256(lead < 0 ? -lead : lead) < MARGIN) _set(subject, Standing.Appealable);
        else _set(subject, lead < 0 ? Standing.Hidden : Standing.Accepted);
    }

    function _unanswered(bytes32 subject) internal virtual override {
        _set(subject, Standing.Unanswered);
    }

    function _set(bytes32 postId, Standing standing) private {
        standingOf[postId] = standing;
        emit Moderated(postId, standing);
    }
}
