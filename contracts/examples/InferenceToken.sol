// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Requests} from "../src/Requests.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {ModelId} from "../src/types/Ids.sol";
import {Model} from "../src/types/Model.sol";
import {IERC7007} from "./IERC7007.sol";
import {ModelConsumer} from "./ModelConsumer.sol";

/// @title InferenceToken
/// @notice A token for each prompt to one model, with what the model makes of it (ERC-7007). Prompt and content are the bytes of
///         the model's inputs and outputs. The proof of a content is any claim about it, and where it stands: `verify` is true
///         exactly as long as that claim is final, which it stays.
/// @dev A claim comes about in two ways: by a request that `mint` pays, whose answer is added by itself; or off chain, and then
///      anybody adds it.
contract InferenceToken is ERC721, ModelConsumer, IERC7007 {
    /// @notice Hash of a token's content; zero as long as it has none.
    mapping(uint256 tokenId => bytes32 hash) public contentOf;
    mapping(bytes32 commitment => uint256 number) private _commitments;

    /// @notice Commit to the prompt in an earlier block, so that nobody who sees it can mint it in front of you.
    error NotCommitted(bytes32 commitment);
    /// @notice A token's id is its prompt's (`tokenIdOf`).
    error OtherPrompt(uint256 tokenId, uint256 needed);
    /// @notice The token has its content.
    error AlreadyAdded(uint256 tokenId);
    /// @notice There is no final claim of this content.
    error NotVerified(uint256 tokenId);

    constructor(Requests requests, ModelId model) ERC721("Inference", "INFER") ModelConsumer(requests, model) {}

    /// @notice Commits to a prompt: `keccak256(abi.encode(who mints, prompt, salt))`.
    function commit(bytes32 commitment) external {
        if (_commitments[commitment] == 0) _commitments[commitment] = block.number;
    }

    /// @notice Mints the sender's token of a prompt. If value is sent, it is the fee of a request for the content.
    /// @param salt of a commitment of an earlier block
    function mint(bytes calldata prompt, bytes32 salt) external payable returns (uint256 tokenId) {
        bytes32 commitment = keccak256(abi.encode(msg.sender, prompt, salt));
        uint256 number = _commitments[commitment];
        if (number == 0 || number >= block.number) revert NotCommitted(commitment);
        tokenId = tokenIdOf(prompt);
        _mint(msg.sender, tokenId);
        if (msg.value != 0) _ask(bytes32(tokenId), prompt, prompt);
    }

    /// @notice Asks for the content of a token that has none; the value sent is the fee. Anyone may, also again.
    function ask(bytes calldata prompt) external payable returns (bytes32 requestId) {
        uint256 tokenId = tokenIdOf(prompt);
        _requireOwned(tokenId);
        if (contentOf[tokenId] != 0) revert AlreadyAdded(tokenId);
        return _ask(bytes32(tokenId), prompt, prompt);
    }

    /// @inheritdoc IERC7007
    /// @param proof `abi.encode(claim, inclusion)` of a final claim
    function addAigcData(uint256 tokenId, bytes calldata prompt, bytes calldata aigcData, bytes calldata proof)
        external
    {
        if (tokenId != tokenIdOf(prompt)) revert OtherPrompt(tokenId, tokenIdOf(prompt));
        _requireOwned(tokenId);
        if (contentOf[tokenId] != 0) revert AlreadyAdded(tokenId);
        if (!verify(prompt, aigcData, proof)) revert NotVerified(tokenId);
        contentOf[tokenId] = keccak256(aigcData);
        emit AigcData(tokenId, prompt, aigcData, proof);
    }

    /// @inheritdoc IERC7007
    /// @dev Reverts if the proof is neither empty nor such an encoding.
    /// @param proof `abi.encode(claim, inclusion)`; empty asks whether the content was added here
    function verify(bytes calldata prompt, bytes calldata aigcData, bytes calldata proof) public view returns (bool) {
        if (proof.length == 0) return contentOf[tokenIdOf(prompt)] == keccak256(aigcData);
        (Claim memory claim, Inclusion memory inclusion) = abi.decode(proof, (Claim, Inclusion));
        RollupChain chain = REQUESTS.CHAIN();
        if (ModelId.unwrap(claim.modelId) != ModelId.unwrap(MODEL)) return false;
        Model memory model = chain.modelOf(MODEL);
        if (prompt.length != _byteLength(model.inputs) || aigcData.length != _byteLength(model.outputs)) return false;
        return chain.status(claim, inclusion) == Status.Final && chain.rootOf(MODEL, false, prompt) == claim.inputRoot
            && chain.rootOf(MODEL, true, aigcData) == claim.outputRoot;
    }

    /// @notice The token of a prompt.
    function tokenIdOf(bytes calldata prompt) public pure returns (uint256) {
        return uint256(keccak256(prompt));
    }

    /// @inheritdoc ERC721
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IERC7007).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev The prompt came along with the answer.
    function _answered(bytes32 subject, bytes calldata output, bytes calldata data) internal virtual override {
        uint256 tokenId = uint256(subject);
        if (contentOf[tokenId] != 0) return;
        contentOf[tokenId] = keccak256(output);
        emit AigcData(tokenId, data, output, "");
    }

    /// @dev The token stays without content until somebody asks again or adds it.
    function _unanswered(bytes32) internal virtual override {}
}
