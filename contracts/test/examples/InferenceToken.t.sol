// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC7007} from "../../examples/IERC7007.sol";
import {InferenceToken} from "../../examples/InferenceToken.sol";
import {ModelConsumer} from "../../examples/ModelConsumer.sol";
import {Requests} from "../../src/Requests.sol";

import {GameId, ModelId} from "../../src/types/Ids.sol";
import {Progress, Request} from "../../src/types/Request.sol";
import {Trace} from "../Trace.sol";
import {ExampleWorld} from "./ExampleWorld.sol";

/// @dev A token that takes no answer until it is told to.
contract StubbornToken is InferenceToken {
    bool public isWilling;

    error NotNow();

    constructor(Requests requests, ModelId model) InferenceToken(requests, model) {}

    function relent() external {
        isWilling = true;
    }

    function _answered(bytes32 subject, bytes calldata output, bytes calldata data) internal override {
        if (!isWilling) revert NotNow();
        super._answered(subject, output, data);
    }
}

/// @dev A token that is told answers by the test.
contract ExposedToken is InferenceToken {
    constructor(Requests requests, ModelId model) InferenceToken(requests, model) {}

    function tell(uint256 tokenId, bytes calldata output, bytes calldata prompt) external {
        _answered(bytes32(tokenId), output, prompt);
    }
}

contract InferenceTokenTest is ExampleWorld {
    bytes32 private constant SALT = bytes32(uint256(0x5a17));

    InferenceToken private _token;
    bytes private _prompt;

    function setUp() public override {
        super.setUp();
        _token = new InferenceToken(requests, model);
        _prompt = bytes.concat("a prompt", new bytes(INPUT_LENGTH - 8));
    }

    function minted(InferenceToken token, uint256 fee) private returns (uint256 tokenId) {
        VM.deal(BOB, fee);
        VM.prank(BOB);
        token.commit(keccak256(abi.encode(BOB, _prompt, SALT)));
        nextBlock();
        VM.prank(BOB);
        return token.mint{value: fee}(_prompt, SALT);
    }

    function content(uint256 class) private view returns (Trace memory) {
        return traceOf(_prompt, winning(class));
    }

    function proofOf(Posted memory posted) private pure returns (bytes memory) {
        return abi.encode(posted.claim, posted.inclusion);
    }

    function verified(Posted memory posted) private view returns (bool) {
        return _token.verify(_prompt, outputOf(posted.trace), proofOf(posted));
    }

    function refuses(bytes4 selector) private {
        VM.expectPartialRevert(selector);
    }

    function test_verify_honestClaim_trueExactlyOnceFinal() public {
        Posted memory posted = post(model, content(3));
        posted.claim.nonce += 1;
        yes("unknown", !verified(posted));
        posted.claim.nonce -= 1;
        yes("posted", !verified(posted));
        wait(WINDOW);
        yes("last second of the period", !verified(posted));
        wait(1);
        yes("final", verified(posted));
        wait(1_000 * WINDOW);
        yes("stays", verified(posted));
    }

    function test_verify_challengedAndUpheld_falseMeanwhile() public {
        Posted memory posted = post(model, content(3));
        wait(WINDOW);
        GameId gameId = challenge(ALICE, posted);
        yes("challenged", !verified(posted));
        wait(SPACING + 1);
        yes("still challenged", !verified(posted));
        reveal(gameId, posted.trace);
        wait(CLOCK + 1);
        yes("the challenger's time is over", !verified(posted));
        game.timeout(one(gameId));
        yes("final", verified(posted));
    }

    function test_verify_convictedClaim_neverTrue() public {
        Posted memory lie = post(model, content(4));
        convict(lie);
        yes("invalid", !verified(lie));
        wait(WINDOW + SPACING + 1);
        yes("stays invalid", !verified(lie));
    }

    function test_verify_competing_eachByItsOwnState() public {
        Posted memory lie = post(model, content(4));
        Posted memory truth = post(model, content(3));
        convict(lie);
        wait(WINDOW + SPACING + 1);
        yes("lie", !verified(lie));
        yes("truth", verified(truth));
        Posted memory mixed = truth;
        mixed.trace = lie.trace;
        yes("the lie's content with the truth's proof", !verified(mixed));
    }

    /// @dev Whatever is changed in content, prompt or proof, it is not verified.
    function test_verify_anyChange_isFalse(uint16 where, uint8 what, uint8 part) public {
        Posted memory posted = post(model, content(3));
        wait(WINDOW + 1);
        bytes memory output = outputOf(posted.trace);
        bytes memory prompt = bytes.concat(_prompt);
        bytes memory proof = proofOf(posted);
        yes("unchanged", _token.verify(prompt, output, proof));
        bytes1 change = bytes1(what == 0 ? 1 : what);
        if (part % 4 == 0) output[where % output.length] ^= change;
        else if (part % 4 == 1) prompt[where % prompt.length] ^= change;
        else if (part % 4 == 2) output = bytes.concat(output, change);
        else proof[where % (8 * 32)] ^= change; // the claim's eight words
        (bool success, bytes memory result) =
            address(_token).staticcall(abi.encodeCall(IERC7007.verify, (prompt, output, proof)));
        yes("not verified", !success || !abi.decode(result, (bool)));
    }

    function test_verify_otherModel_isFalse() public {
        Posted memory posted = post(lazyModel, content(3));
        wait(WINDOW + 1);
        yes("final", chain.isFinal(posted.claim, posted.inclusion));
        yes("not of this model", !verified(posted));
    }

    function test_verify_emptyProof_asksWhatWasAdded() public {
        bytes memory output = outputOf(content(3));
        yes("nothing added", !_token.verify(_prompt, output, ""));
        yes("nothing", !_token.verify(_prompt, "", ""));
        uint256 tokenId = minted(_token, 0);
        Posted memory posted = post(model, content(3));
        wait(WINDOW + 1);
        yes("not added", !_token.verify(_prompt, output, ""));
        _token.addAigcData(tokenId, _prompt, output, proofOf(posted));
        yes("added", _token.verify(_prompt, output, ""));
        yes("not another", !_token.verify(_prompt, outputOf(content(4)), ""));
    }

    function test_addAigcData_onlyOnceFinal() public {
        uint256 tokenId = minted(_token, 0);
        same("owner", uint256(uint160(_token.ownerOf(tokenId))), uint256(uint160(BOB)));
        Posted memory posted = post(model, content(3));
        bytes memory output = outputOf(posted.trace);
        bytes memory proof = proofOf(posted);
        refuses(InferenceToken.NotVerified.selector);
        _token.addAigcData(tokenId, _prompt, output, proof);
        refuses(InferenceToken.OtherPrompt.selector);
        _token.addAigcData(tokenId + 1, _prompt, output, proof);
        wait(WINDOW + 1);
        VM.expectEmit(address(_token));
        emit IERC7007.AigcData(tokenId, _prompt, output, proof);
        _token.addAigcData(tokenId, _prompt, output, proof);
        same("content", _token.contentOf(tokenId), keccak256(output));
        refuses(InferenceToken.AlreadyAdded.selector);
        _token.addAigcData(tokenId, _prompt, output, proof);
        refuses(InferenceToken.AlreadyAdded.selector);
        _token.ask{value: FEE}(_prompt);
    }

    function test_addAigcData_noToken_reverts() public {
        Posted memory posted = post(model, content(3));
        wait(WINDOW + 1);
        uint256 tokenId = _token.tokenIdOf(_prompt);
        bytes memory output = outputOf(posted.trace);
        refuses(IERC721Errors.ERC721NonexistentToken.selector);
        _token.addAigcData(tokenId, _prompt, output, proofOf(posted));
        refuses(IERC721Errors.ERC721NonexistentToken.selector);
        _token.ask{value: FEE}(_prompt);
    }

    function test_mint_frontRun_isNotPossible() public {
        bytes32 commitment = keccak256(abi.encode(BOB, _prompt, SALT));
        _token.commit(commitment);
        refuses(InferenceToken.NotCommitted.selector);
        VM.prank(BOB);
        _token.mint(_prompt, SALT);
        nextBlock();
        _token.commit(commitment);
        refuses(InferenceToken.NotCommitted.selector);
        VM.prank(EVE);
        _token.mint(_prompt, SALT);
        VM.prank(BOB);
        _token.mint(_prompt, SALT);
        refuses(IERC721Errors.ERC721InvalidSender.selector);
        VM.prank(BOB);
        _token.mint(_prompt, SALT);
    }

    function test_mint_withFee_isAnsweredByARequest() public {
        uint256 tokenId = minted(_token, FEE);
        Request memory request = requestOf(_token, content(3), _prompt, FEE);
        bytes memory output = outputOf(content(3));
        Posted memory posted = claimFor(request, content(3));
        wait(WINDOW + 1);
        VM.expectEmit(address(_token));
        emit IERC7007.AigcData(tokenId, _prompt, output, "");
        show(request, posted, _prompt);
        same("content", _token.contentOf(tokenId), keccak256(output));
        yes("verified", _token.verify(_prompt, output, ""));
        yes("verified by the claim", verified(posted));
    }

    /// @dev Content that was added meanwhile stays; the request that is answered behind it is paid all the same.
    function test_request_answeredAfterAdding_changesNothing() public {
        uint256 tokenId = minted(_token, FEE);
        Request memory request = requestOf(_token, content(3), _prompt, FEE);
        Posted memory posted = claimFor(request, content(3));
        wait(WINDOW + 1);
        bytes memory output = outputOf(posted.trace);
        _token.addAigcData(tokenId, _prompt, output, proofOf(posted));
        VM.expectEmit(address(_token), 0);
        emit IERC7007.AigcData(tokenId, _prompt, output, "");
        show(request, posted, _prompt);
        progress(request, Progress.Answered);
        same("content", _token.contentOf(tokenId), keccak256(output));
    }

    function test_request_unanswered_feeIsBackAndCanBeAskedAgain() public {
        uint256 tokenId = minted(_token, FEE);
        expire(requestOf(_token, content(3), _prompt, FEE), _prompt);
        same("no content", _token.contentOf(tokenId), 0);
        same("fee", collect(_token, BOB), FEE);
        same("empty", heldBy(_token), 0);
        _token.ask{value: FEE}(_prompt);
        answer(requestOf(_token, content(3), _prompt, FEE), content(3), _prompt);
        same("content", _token.contentOf(tokenId), keccak256(outputOf(content(3))));
    }

    function test_callback_fails_isDeliveredLater() public {
        StubbornToken token = new StubbornToken(requests, model);
        uint256 tokenId = minted(token, FEE);
        Request memory request = requestOf(token, content(3), _prompt, FEE);
        answer(request, content(3), _prompt);
        progress(request, Progress.Undelivered);
        same("no content", token.contentOf(tokenId), 0);
        token.relent();
        requests.deliver(request, _prompt, outputOf(content(3)));
        same("content", token.contentOf(tokenId), keccak256(outputOf(content(3))));
    }

    /// @dev For as many bytes of prompt and content as an answer may have.
    function test_callback_gas_isEnoughForTheLargest() public {
        ExposedToken token = new ExposedToken(requests, model);
        uint256 most = chain.MAX_POSTED_BYTES();
        bytes memory output = new bytes(most / 2);
        bytes memory prompt = new bytes(most - most / 2);
        token.tell{gas: token.CALLBACK_GAS() / 2}(7, output, prompt);
        same("content", token.contentOf(7), keccak256(output));
    }

    function test_forged_callbacks_doNothing() public {
        uint256 tokenId = minted(_token, FEE);
        bytes32 requestId = requests.requestIdOf(requestOf(_token, content(3), _prompt, FEE));
        bytes memory output = outputOf(content(4));
        VM.expectRevert(abi.encodeWithSelector(ModelConsumer.NotAsked.selector, EVE, requestId));
        VM.prank(EVE);
        _token.onInference(requestId, output, "", _prompt);
        Request memory foreign = forge(address(_token), model, content(3));
        answer(foreign, content(4), "");
        progress(foreign, Progress.Undelivered);
        same("no content", _token.contentOf(tokenId), 0);
    }

    function test_interfaces_areTheStandards() public view {
        same("7007", bytes32(type(IERC7007).interfaceId), bytes32(bytes4(0x702c55a6)));
        yes("7007", _token.supportsInterface(type(IERC7007).interfaceId));
        yes("721", _token.supportsInterface(type(IERC721).interfaceId));
        yes("165", _token.supportsInterface(type(IERC165).interfaceId));
        yes("nothing else", !_token.supportsInterface(0xffffffff));
    }
}
