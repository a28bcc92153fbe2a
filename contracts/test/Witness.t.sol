// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Merkle} from "../src/libraries/Merkle.sol";
import {Memory, Witness} from "../src/libraries/Witness.sol";
import {Base} from "./Base.sol";

/// @dev One tree of a witness, parsed and read.
contract WitnessHarness {
    using Witness for Memory;

    /// @notice Bytes of `places`' leaves (count leaves each) after parsing `data`; all leaves must have been read.
    function open(bytes calldata data, bytes32 root, uint256 depth, uint256[] calldata places, uint256 count)
        external
        view
        returns (bytes32[] memory first)
    {
        uint256 cursor;
        assembly ("memory-safe") {
            cursor := data.offset
        }
        Memory memory store = Witness.create(data.length);
        (uint256[] memory tree, uint256 next) = store.parse(cursor, cursor + data.length, root, depth);
        if (next != cursor + data.length) revert Witness.WitnessLength(cursor + data.length - next);
        first = new bytes32[](places.length);
        for (uint256 j = 0; j < places.length; ++j) {
            uint256 found = store.locate(tree, places[j], count);
            first[j] = bytes32(data[found - cursor:found - cursor + 32]);
        }
        store.requireAllRead();
    }
}

contract WitnessTest is Base {
    WitnessHarness private harness = new WitnessHarness();
    uint256 private constant DEPTH = 3;

    function leafBytes(uint256 leaf) private pure returns (bytes memory data) {
        data = new bytes(1024);
        data[0] = bytes1(uint8(leaf + 1));
    }

    /// @dev Node of the tree of eight leaves, `height` levels above the leaves.
    function node(uint256 index, uint256 height) private view returns (bytes32) {
        if (height == 0) return sha256(abi.encodePacked(bytes1(0), leafBytes(index)));
        return sha256(abi.encodePacked(bytes1(0x01), node(2 * index, height - 1), node(2 * index + 1, height - 1)));
    }

    /// @dev A tree with exactly the leaves of `mask` (one bit a leaf) and a right multi-proof, in maximal runs.
    function encode(uint256 mask) private view returns (bytes memory) {
        bytes memory runs;
        bytes memory leaves;
        uint256 count = 0;
        for (uint256 j = 0; j < 8; ++j) {
            if (mask >> j & 1 == 0) continue;
            leaves = bytes.concat(leaves, leafBytes(j));
            if (j != 0 && mask >> (j - 1) & 1 == 1) continue;
            uint256 length = 0;
            while (j + length < 8 && mask >> (j + length) & 1 == 1) {
                ++length;
            }
            runs = abi.encodePacked(runs, uint64(j), uint16(length));
            ++count;
        }
        bytes memory siblings;
        uint256 level = mask;
        for (uint256 height = 0; height < DEPTH; ++height) {
            uint256 above = 0;
            for (uint256 j = 0; j < 8 >> height; ++j) {
                if (level >> j & 1 == 0) continue;
                above |= 1 << (j >> 1);
                if (level >> (j ^ 1) & 1 == 0) siblings = abi.encodePacked(siblings, node(j ^ 1, height));
            }
            level = above;
        }
        return abi.encodePacked(uint16(count), runs, uint16(siblings.length / 32), siblings, leaves);
    }

    function all(uint256 mask) private pure returns (uint256[] memory places) {
        places = new uint256[](8);
        uint256 count = 0;
        for (uint256 j = 8; j != 0; --j) {
            if (mask >> (j - 1) & 1 == 1) places[count++] = j - 1;
        }
        assembly ("memory-safe") {
            mstore(places, count)
        }
    }

    function test_open_anyLeaves_succeeds(uint8 mask) external view {
        VM.assume(mask != 0);
        uint256[] memory places = all(mask);
        bytes32[] memory found = harness.open(encode(mask), node(0, DEPTH), DEPTH, places, 1);
        for (uint256 j = 0; j < places.length; ++j) {
            same("leaf", uint8(found[j][0]), places[j] + 1);
        }
    }

    function test_open_missingLeaf_reverts(uint8 mask, uint8 leaf) external {
        VM.assume(mask != 0 && mask >> (leaf % 8) & 1 == 0);
        uint256[] memory places = new uint256[](1);
        places[0] = leaf % 8;
        bytes memory data = encode(mask);
        bytes32 root = node(0, DEPTH);
        VM.expectRevert(abi.encodeWithSelector(Witness.LeafMissing.selector, places[0]));
        harness.open(data, root, DEPTH, places, 1);
    }

    function test_open_unreadLeaf_reverts(uint8 mask) external {
        uint256[] memory places = all(mask);
        VM.assume(places.length > 1);
        assembly ("memory-safe") {
            mstore(places, sub(mload(places), 1))
        }
        bytes memory data = encode(mask);
        bytes32 root = node(0, DEPTH);
        VM.expectRevert(abi.encodeWithSelector(Witness.LeavesUnread.selector, 1));
        harness.open(data, root, DEPTH, places, 1);
    }

    function test_open_rowPastRun_reverts() external {
        bytes memory data = encode(0x36);
        bytes32 root = node(0, DEPTH);
        uint256[] memory places = new uint256[](1);
        places[0] = 1;
        VM.expectRevert(abi.encodeWithSelector(Witness.LeafMissing.selector, 3));
        harness.open(data, root, DEPTH, places, 3);
    }

    function test_open_changedByte_reverts(uint8 mask, uint256 position, uint8 flip) external view {
        VM.assume(mask != 0 && flip != 0);
        bytes memory data = encode(mask);
        position %= data.length;
        data[position] ^= bytes1(flip);
        bytes32 root = node(0, DEPTH);
        uint256[] memory places = all(mask);
        (bool ok,) = address(harness).staticcall(abi.encodeCall(harness.open, (data, root, DEPTH, places, 1)));
        yes("refused", !ok);
    }

    function test_open_touchingRuns_reverts() external {
        bytes memory data = encode(0x03);
        bytes memory split = abi.encodePacked(uint16(2), uint64(0), uint16(1), uint64(1), uint16(1));
        for (uint256 j = 12; j < data.length; ++j) {
            split = abi.encodePacked(split, data[j]);
        }
        bytes32 root = node(0, DEPTH);
        uint256[] memory places = all(0x03);
        VM.expectRevert(abi.encodeWithSelector(Witness.RunsUnsorted.selector, 2));
        harness.open(split, root, DEPTH, places, 1);
    }

    function test_open_otherRoot_reverts() external {
        bytes memory data = encode(0x81);
        bytes32 root = node(0, DEPTH);
        uint256[] memory places = all(0x81);
        VM.expectRevert(abi.encodeWithSelector(Witness.RootDiffers.selector, root, bytes32(uint256(1))));
        harness.open(data, bytes32(uint256(1)), DEPTH, places, 1);
    }

    function test_open_shortOrLong_reverts() external {
        bytes memory data = encode(0xff);
        bytes32 root = node(0, DEPTH);
        uint256[] memory places = all(0xff);
        VM.expectRevert(abi.encodeWithSelector(Witness.WitnessLength.selector, 1));
        harness.open(bytes.concat(data, hex"00"), root, DEPTH, places, 1);
        assembly ("memory-safe") {
            mstore(data, sub(mload(data), 1))
        }
        VM.expectRevert(abi.encodeWithSelector(Witness.WitnessLength.selector, 0));
        harness.open(data, root, DEPTH, places, 1);
    }
}
