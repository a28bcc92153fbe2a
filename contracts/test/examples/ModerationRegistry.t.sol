// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ClassifierConsumer} from "../../examples/ClassifierConsumer.sol";
import {ModelConsumer} from "../../examples/ModelConsumer.sol";
import {ModerationRegistry} from "../../examples/ModerationRegistry.sol";
import {Answering} from "../../src/Answering.sol";
import {Requests} from "../../src/Requests.sol";
import {Status} from "../../src/types/Claim.sol";
import {ModelId} from "../../src/types/Ids.sol";
import {Progress, Request} from "../../src/types/Request.sol";
import {ExampleWorld} from "./ExampleWorld.sol";

/// @dev A registry that takes no answer until it is told to.
contract StubbornRegistry is ModerationRegistry {
    bool public isWilling;

    error NotNow();

    constructor(Requests requests, ModelId model) ModerationRegistry(requests, model, 1, 10, address(0x1)) {}

    function relent() external {
        isWilling = true;
    }

    function _answered(bytes32 subject, bytes calldata output, bytes calldata data) internal override {
        if (!isWilling) revert NotNow();
        super._answered(subject, output, data);
    }
}

contract ModerationRegistryTest is ExampleWorld {
    bytes private constant TEXT = "Does anybody know when the library opens?";
    uint256 private constant MARGIN = 10;
    address private constant JURY = address(0x1024);

    ModerationRegistry private _registry;

    function setUp() public override {
        super.setUp();
        _registry = new ModerationRegistry(requests, model, 1, MARGIN, JURY);
    }

    function posted(ModerationRegistry registry, bytes memory text)
        private
        returns (bytes32 postId, Request memory request)
    {
        VM.deal(BOB, FEE);
        VM.prank(BOB);
        postId = registry.post{value: FEE}(BOB, text);
        request = requestOf(registry, traceOf(text, ""), "", FEE);
        progress(request, Progress.Open);
    }

    function leading(int8 acceptable, int8 worst) private pure returns (bytes memory) {
        return leading(acceptable, worst, 61);
    }

    /// @dev Scores of acceptable and of the worst reason to hide, which is that class; all others are the lowest there is.
    function leading(int8 acceptable, int8 worst, uint256 class) private pure returns (bytes memory scores) {
        scores = new bytes(CLASSES);
        for (uint256 j = 1; j < CLASSES; ++j) {
            scores[j] = 0x80;
        }
        scores[0] = bytes1(uint8(acceptable));
        scores[class] = bytes1(uint8(worst));
    }

    function stands(ModerationRegistry registry, bytes32 postId, ModerationRegistry.Standing expected) private view {
        same("standing", uint256(registry.standingOf(postId)), uint256(expected));
    }

    function judged(int8 acceptable, int8 worst) private returns (bytes32 postId) {
        return judged(acceptable, worst, 61);
    }

    function judged(int8 acceptable, int8 worst, uint256 class) private returns (bytes32 postId) {
        Request memory request;
        (postId, request) = posted(_registry, TEXT);
        stands(_registry, postId, ModerationRegistry.Standing.Pending);
        answer(request, traceOf(TEXT, leading(acceptable, worst, class)), "");
        progress(request, Progress.Answered);
    }

    function rule(address account, bytes32 postId, bool accepted) private {
        VM.prank(account);
        _registry.rule(postId, accepted);
    }

    function refuses(bytes4 selector) private {
        VM.expectPartialRevert(selector);
    }

    /// @dev Every pair of scores stands as the definition says, whichever class is the worst.
    function test_answered_anyScores_standAsDefined(int8 acceptable, int8 worst, uint8 class) public {
        bytes32 postId = judged(acceptable, worst, 1 + class % (CLASSES - 1));
        int256 lead = int256(acceptable) - worst;
        if (lead >= int256(MARGIN)) stands(_registry, postId, ModerationRegistry.Standing.Accepted);
        else if (lead <= -int256(MARGIN)) stands(_registry, postId, ModerationRegistry.Standing.Hidden);
        else stands(_registry, postId, ModerationRegistry.Standing.Appealable);
    }

    function test_answered_firstAndLastReason_count() public {
        stands(_registry, judged(0, 50, 1), ModerationRegistry.Standing.Hidden);
        nextBlock();
        _registry = new ModerationRegistry(requests, model, 1, MARGIN, JURY);
        stands(_registry, judged(0, 50, CLASSES - 1), ModerationRegistry.Standing.Hidden);
    }

    function test_answered_atTheMargin_isSure() public {
        stands(_registry, judged(10, 0), ModerationRegistry.Standing.Accepted);
    }

    function test_answered_belowTheMargin_isAppealable_andTheJuryDecidesOnce() public {
        bytes32 postId = judged(-3, 6);
        stands(_registry, postId, ModerationRegistry.Standing.Appealable);
        refuses(ModerationRegistry.NotJury.selector);
        rule(BOB, postId, true);
        rule(JURY, postId, true);
        stands(_registry, postId, ModerationRegistry.Standing.Accepted);
        refuses(ModerationRegistry.WrongStanding.selector);
        rule(JURY, postId, false);
    }

    function test_hidden_noJuryRaisesIt() public {
        bytes32 postId = judged(-5, 5);
        stands(_registry, postId, ModerationRegistry.Standing.Hidden);
        refuses(ModerationRegistry.WrongStanding.selector);
        rule(JURY, postId, true);
    }

    function test_post_again_reverts() public {
        (bytes32 postId, Request memory request) = posted(_registry, TEXT);
        refuses(ModerationRegistry.WrongStanding.selector);
        this.post(BOB, BOB, TEXT);
        refuses(ModerationRegistry.WrongStanding.selector);
        this.post(EVE, BOB, "in somebody else's name");
        refuses(ModerationRegistry.TextTooLong.selector);
        this.post(BOB, BOB, new bytes(INPUT_LENGTH + 1));
        refuses(ModerationRegistry.WrongStanding.selector);
        rule(JURY, postId, true);
        answer(request, traceOf(TEXT, leading(-5, 5)), "");
        refuses(ModerationRegistry.WrongStanding.selector);
        this.post(BOB, BOB, TEXT);
        this.post(EVE, EVE, TEXT);
    }

    function post(address account, address author, bytes memory text) external returns (bytes32) {
        VM.deal(account, FEE);
        VM.prank(account);
        return _registry.post{value: FEE}(author, text);
    }

    function test_unanswered_feeIsBack_andAnyoneAsksAgain() public {
        (bytes32 postId, Request memory first) = posted(_registry, TEXT);
        expire(first, "");
        stands(_registry, postId, ModerationRegistry.Standing.Unanswered);
        same("fee", collect(_registry, BOB), FEE);
        same("empty", heldBy(_registry), 0);
        this.post(EVE, BOB, TEXT);
        Request memory second = requestOf(_registry, traceOf(TEXT, ""), "", FEE);
        answer(second, traceOf(TEXT, leading(100, 0)), "");
        stands(_registry, postId, ModerationRegistry.Standing.Accepted);
        refuses(ModelConsumer.NothingOwed.selector);
        collect(_registry, EVE);
    }

    function test_lie_isConvicted_andTheTruthDecides() public {
        (bytes32 postId, Request memory request) = posted(_registry, TEXT);
        Posted memory lie = claimFor(request, traceOf(TEXT, leading(100, 0)));
        convict(lie);
        Posted memory truth = claimFor(request, traceOf(TEXT, leading(0, 100)));
        wait(WINDOW + SPACING + 1);
        VM.expectRevert(abi.encodeWithSelector(Requests.NotFinal.selector, lie.id, Status.Invalid));
        show(request, lie, "");
        stands(_registry, postId, ModerationRegistry.Standing.Pending);
        show(request, truth, "");
        stands(_registry, postId, ModerationRegistry.Standing.Hidden);
    }

    /// @dev An honest claim about another text does not speak about this one.
    function test_otherText_doesNotAnswer() public {
        (, Request memory request) = posted(_registry, TEXT);
        Posted memory other = claimFor(request, traceOf("a harmless text", leading(100, 0)));
        wait(WINDOW + 1);
        VM.expectPartialRevert(Answering.NotAnswering.selector);
        show(request, other, "");
    }

    function test_forged_callbacks_doNothing() public {
        (bytes32 postId, Request memory request) = posted(_registry, TEXT);
        bytes32 requestId = requests.requestIdOf(request);
        bytes memory output = outputOf(traceOf(TEXT, leading(100, 0)));
        VM.expectRevert(abi.encodeWithSelector(ModelConsumer.NotAsked.selector, EVE, requestId));
        VM.prank(EVE);
        _registry.onInference(requestId, output, "", "");
        Request memory foreign = forge(address(_registry), model, traceOf(TEXT, ""));
        answer(foreign, traceOf(TEXT, leading(100, 0)), "");
        progress(foreign, Progress.Undelivered);
        stands(_registry, postId, ModerationRegistry.Standing.Pending);
    }

    function test_callback_fails_isDeliveredLater() public {
        StubbornRegistry registry = new StubbornRegistry(requests, model);
        (bytes32 postId, Request memory request) = posted(registry, TEXT);
        answer(request, traceOf(TEXT, leading(100, 0)), "");
        progress(request, Progress.Undelivered);
        stands(registry, postId, ModerationRegistry.Standing.Pending);
        registry.relent();
        bytes memory output = outputOf(traceOf(TEXT, leading(100, 0)));
        requests.deliver(request, "", output);
        stands(registry, postId, ModerationRegistry.Standing.Accepted);
        VM.expectPartialRevert(Requests.NothingToDeliver.selector);
        requests.deliver(request, "", output);
    }

    function test_constructor_oneClass_reverts() public {
        bytes memory inputs = abi.encodePacked(hex"01", hex"000001", uint32(4));
        bytes memory outputs = abi.encodePacked(hex"01", uint32(1), hex"000001", uint32(4));
        bytes memory head = abi.encodePacked(uint16(2), uint8(0), uint8(1), uint8(0), uint32(2), inputs, outputs);
        ModelId narrow = chain.registerModel(head, abi.encodePacked(bytes32(uint256(5))));
        refuses(ModerationRegistry.TooFewClasses.selector);
        new ModerationRegistry(requests, narrow, 4, MARGIN, JURY);
        refuses(ClassifierConsumer.WrongWidth.selector);
        new ModerationRegistry(requests, narrow, 8, MARGIN, JURY);
    }
}
