// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The cheat codes that these tests use.
interface Vm {
    function addr(uint256 privateKey) external pure returns (address);
    function sign(uint256 privateKey, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function warp(uint256 time) external;
    function roll(uint256 number) external;
    function chainId(uint256 id) external;
    function fee(uint256 perGas) external;
    function setBlockhash(uint256 number, bytes32 blockHash) external;
    function deal(address account, uint256 amount) external;
    function prank(address sender) external;
    function assume(bool condition) external pure;
    function expectRevert(bytes calldata data) external;
    function expectPartialRevert(bytes4 selector) external;
    function expectEmit(address emitter) external;
    function expectEmit(address emitter, uint64 times) external;
    function deployCode(string calldata artifact, bytes calldata arguments) external returns (address);
    function computeCreateAddress(address deployer, uint256 nonce) external pure returns (address);
    function getNonce(address account) external view returns (uint64);
}

/// @dev What forge needs of a test contract, and assertions that name what they compared.
abstract contract Base {
    Vm internal constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    bool public constant IS_TEST = true;

    error Differs(string what, bytes32 actual, bytes32 expected);

    function same(string memory what, bytes32 actual, bytes32 expected) internal pure {
        if (actual != expected) revert Differs(what, actual, expected);
    }

    function same(string memory what, uint256 actual, uint256 expected) internal pure {
        same(what, bytes32(actual), bytes32(expected));
    }

    function yes(string memory what, bool condition) internal pure {
        same(what, condition ? 1 : 0, 1);
    }
}
