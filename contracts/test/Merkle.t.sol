// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Merkle} from "../src/libraries/Merkle.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {Base} from "./Base.sol";

/// @dev Makes the library's functions callable with calldata.
contract MerkleHarness {
    function fold(uint256[] memory indices, bytes32[] memory hashes, uint256 depth, bytes calldata siblings)
        external
        view
        returns (bytes32)
    {
        return Merkle.fold(indices, hashes, depth, siblings);
    }

    function branch(bytes32 hash, Gindex gindex, bytes calldata siblings) external view returns (bytes32) {
        return Merkle.branch(hash, gindex, siblings);
    }

    function complete(bytes32[] calldata hashes) external view returns (bytes32) {
        return Merkle.complete(hashes);
    }

    function tensor(bytes calldata data, uint256 depth) external view returns (bytes32) {
        return Merkle.tensor(data, depth);
    }

    function extend(bytes32[] memory hashes, uint256 height, uint256 depth) external view returns (bytes32) {
        return Merkle.extend(hashes, height, depth);
    }

    function leaf(bytes calldata data) external view returns (bytes32) {
        return Merkle.leaf(data);
    }

    function shortLeaf(bytes calldata data) external view returns (bytes32) {
        return Merkle.shortLeaf(data);
    }

    function node(bytes32 left, bytes32 right) external view returns (bytes32) {
        return Merkle.node(left, right);
    }

    function headerLeaf(bytes calldata data) external view returns (bytes32) {
        return Merkle.headerLeaf(data);
    }

    function descriptorLeaf(bytes calldata data) external view returns (bytes32) {
        return Merkle.descriptorLeaf(data);
    }

    function claimLeaf(bytes32 claimId) external view returns (bytes32) {
        return Merkle.claimLeaf(claimId);
    }

    function batch(bytes32[] memory leaves) external view returns (bytes32) {
        return Merkle.batch(leaves);
    }

    function batchBranch(bytes32 hash, uint256 index, bytes32[] calldata proof) external view returns (bytes32) {
        return Merkle.batchBranch(hash, index, proof);
    }
}

contract MerkleTest is Base {
    MerkleHarness private harness;

    function setUp() public {
        harness = new MerkleHarness();
    }

    function plainNode(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(hex"01", left, right));
    }

    /// @dev All nodes of a tree by generalised index.
    function plainTree(uint256 depth, uint256 seed) private pure returns (bytes32[] memory nodes) {
        nodes = new bytes32[](2 ** (depth + 1));
        for (uint256 j = 0; j < 2 ** depth; ++j) {
            nodes[2 ** depth + j] = keccak256(abi.encode(seed, j));
        }
        for (uint256 g = 2 ** depth - 1; g != 0; --g) {
            nodes[g] = plainNode(nodes[2 * g], nodes[2 * g + 1]);
        }
    }

    /// @dev The leaves in `mask` and their multi-proof, found without the library's algorithm: a node is a sibling if
    ///      nothing below it is known, and something below its partner is.
    function proofOf(bytes32[] memory nodes, uint256 depth, uint256 mask)
        private
        pure
        returns (uint256[] memory indices, bytes32[] memory hashes, bytes memory siblings)
    {
        uint256 count;
        bool[] memory known = new bool[](nodes.length);
        for (uint256 j = 0; j < 2 ** depth; ++j) {
            if (mask >> j & 1 == 1) ++count;
        }
        (indices, hashes) = (new uint256[](count), new bytes32[](count));
        count = 0;
        for (uint256 j = 0; j < 2 ** depth; ++j) {
            if (mask >> j & 1 == 0) continue;
            (indices[count], hashes[count]) = (j, nodes[2 ** depth + j]);
            ++count;
            for (uint256 g = 2 ** depth + j; g != 0; g >>= 1) {
                known[g] = true;
            }
        }
        for (uint256 level = depth; level != 0; --level) {
            for (uint256 g = 2 ** level; g < 2 ** (level + 1); ++g) {
                if (!known[g] && known[g ^ 1]) siblings = abi.encodePacked(siblings, nodes[g]);
            }
        }
    }

    function testFuzz_fold_plainTree_succeeds(uint256 seed, uint8 depthSeed, uint256 mask) public view {
        uint256 depth = depthSeed % 7;
        mask %= 2 ** (2 ** depth);
        if (mask == 0) mask = 1;
        bytes32[] memory nodes = plainTree(depth, seed);
        (uint256[] memory indices, bytes32[] memory hashes, bytes memory siblings) = proofOf(nodes, depth, mask);
        same("root", harness.fold(indices, hashes, depth, siblings), nodes[1]);
    }

    function testFuzz_fold_surplusSibling_reverts(uint256 seed, uint8 depthSeed, uint256 mask, uint8 extra) public {
        uint256 depth = depthSeed % 6;
        mask %= 2 ** (2 ** depth);
        if (mask == 0) mask = 1;
        bytes32[] memory nodes = plainTree(depth, seed);
        (uint256[] memory indices, bytes32[] memory hashes, bytes memory siblings) = proofOf(nodes, depth, mask);
        bytes memory longer = abi.encodePacked(siblings, new bytes(uint256(extra) + 1));
        VM.expectRevert(abi.encodeWithSelector(Merkle.SiblingCount.selector, longer.length, siblings.length));
        harness.fold(indices, hashes, depth, longer);
    }

    function testFuzz_fold_missingSibling_reverts(uint256 seed, uint8 depthSeed, uint8 leaf) public {
        uint256 depth = 1 + depthSeed % 6;
        bytes32[] memory nodes = plainTree(depth, seed);
        (uint256[] memory indices, bytes32[] memory hashes, bytes memory siblings) =
            proofOf(nodes, depth, 2 ** (leaf % 2 ** depth));
        bytes memory shorter = new bytes(siblings.length - 1);
        VM.expectRevert(abi.encodeWithSelector(Merkle.SiblingCount.selector, shorter.length, siblings.length));
        harness.fold(indices, hashes, depth, shorter);
    }

    function testFuzz_fold_changedSibling_givesAnotherRoot(uint256 seed, uint256 mask, uint256 spot) public view {
        mask = 1 + mask % (2 ** 16 - 2);
        bytes32[] memory nodes = plainTree(4, seed);
        (uint256[] memory indices, bytes32[] memory hashes, bytes memory siblings) = proofOf(nodes, 4, mask);
        siblings[spot % siblings.length] ^= 0x01;
        yes("another root", harness.fold(indices, hashes, 4, siblings) != nodes[1]);
    }

    function test_fold_unsorted_reverts() public {
        uint256[] memory indices = new uint256[](2);
        (indices[0], indices[1]) = (3, 3);
        VM.expectRevert(abi.encodeWithSelector(Merkle.LeavesUnsorted.selector, 1));
        harness.fold(indices, new bytes32[](2), 4, "");
    }

    function test_fold_outside_reverts() public {
        uint256[] memory indices = new uint256[](1);
        indices[0] = 16;
        VM.expectRevert(abi.encodeWithSelector(Merkle.LeafOutside.selector, 16, 4));
        harness.fold(indices, new bytes32[](1), 4, "");
    }

    function test_fold_noLeaves_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Merkle.NoLeaves.selector));
        harness.fold(new uint256[](0), new bytes32[](0), 4, "");
        VM.expectRevert(abi.encodeWithSelector(Merkle.NoLeaves.selector));
        harness.fold(new uint256[](1), new bytes32[](2), 4, "");
    }

    /// @dev A call that starves the precompile must revert and never return something that looks like a root.
    function testFuzz_fold_starved_reverts(uint256 gasSeed) public view {
        bytes32[] memory nodes = plainTree(6, 1);
        (uint256[] memory indices, bytes32[] memory hashes, bytes memory siblings) = proofOf(nodes, 6, 4);
        bytes memory call = abi.encodeCall(MerkleHarness.fold, (indices, hashes, 6, siblings));
        (bool success, bytes memory result) = address(harness).staticcall{gas: gasSeed % 12_000}(call);
        if (success) same("root", abi.decode(result, (bytes32)), nodes[1]);
    }

    function testFuzz_branch_plainTree_succeeds(uint256 seed, uint8 depthSeed, uint256 position) public view {
        uint256 depth = 1 + depthSeed % 7;
        bytes32[] memory nodes = plainTree(depth, seed);
        uint256 gindex = 1 + position % (nodes.length - 1);
        bytes memory siblings;
        for (uint256 g = gindex; g != 1; g >>= 1) {
            siblings = abi.encodePacked(siblings, nodes[g ^ 1]);
        }
        same("root", harness.branch(nodes[gindex], Gindex.wrap(uint128(gindex)), siblings), nodes[1]);
    }

    function testFuzz_branch_siblingCount_reverts(uint8 depthSeed, uint8 given) public {
        uint256 depth = depthSeed % 9;
        VM.assume(given % 10 != depth);
        uint256 length = 32 * uint256(given % 10);
        VM.expectRevert(abi.encodeWithSelector(Merkle.SiblingCount.selector, length, 32 * depth));
        harness.branch(0, Gindex.wrap(uint128(2 ** depth)), new bytes(length));
    }

    function testFuzz_branch_starved_reverts(uint256 gasSeed) public view {
        bytes memory siblings = new bytes(32 * 20);
        bytes memory call = abi.encodeCall(MerkleHarness.branch, (bytes32(0), Gindex.wrap(2 ** 20), siblings));
        bytes32 right = harness.branch(0, Gindex.wrap(2 ** 20), siblings);
        (bool success, bytes memory result) = address(harness).staticcall{gas: 1000 + gasSeed % 20_000}(call);
        yes("right or nothing", !success || abi.decode(result, (bytes32)) == right);
    }

    function testFuzz_complete_plainTree_succeeds(uint256 seed, uint8 depthSeed) public view {
        uint256 depth = 1 + depthSeed % 8;
        bytes32[] memory nodes = plainTree(depth, seed);
        bytes32[] memory leaves = new bytes32[](2 ** depth);
        for (uint256 j = 0; j < leaves.length; ++j) {
            leaves[j] = nodes[2 ** depth + j];
        }
        same("root", harness.complete(leaves), nodes[1]);
    }

    function testFuzz_complete_starved_reverts(uint256 gasSeed) public view {
        bytes32[] memory leaves = new bytes32[](32);
        bytes32 right = harness.complete(leaves);
        bytes memory call = abi.encodeCall(MerkleHarness.complete, (leaves));
        (bool success, bytes memory result) = address(harness).staticcall{gas: 1000 + gasSeed % 20_000}(call);
        yes("right or nothing", !success || abi.decode(result, (bytes32)) == right);
    }

    function test_complete_count_reverts() public {
        uint256[4] memory counts = [uint256(0), 1, 3, 6];
        for (uint256 j = 0; j < counts.length; ++j) {
            VM.expectRevert(abi.encodeWithSelector(Merkle.NoLeaves.selector));
            harness.complete(new bytes32[](counts[j]));
        }
    }

    function testFuzz_tensor_plainTree_succeeds(bytes memory seed, uint16 length, uint8 more) public view {
        bytes memory data = new bytes(uint256(length) % 9000);
        for (uint256 j = 0; j < data.length; ++j) {
            data[j] = bytes1(uint8(uint256(keccak256(seed)) >> (j % 32)));
        }
        uint256 depth = 0;
        while (2 ** depth * 1024 < data.length) ++depth;
        depth += more % 4;
        bytes32[] memory nodes = new bytes32[](2 ** (depth + 1));
        for (uint256 leaf = 0; leaf < 2 ** depth; ++leaf) {
            bytes memory content = new bytes(1024);
            for (uint256 j = 0; j < 1024 && leaf * 1024 + j < data.length; ++j) {
                content[j] = data[leaf * 1024 + j];
            }
            nodes[2 ** depth + leaf] = sha256(abi.encodePacked(hex"00", content));
        }
        for (uint256 g = 2 ** depth - 1; g != 0; --g) {
            nodes[g] = plainNode(nodes[2 * g], nodes[2 * g + 1]);
        }
        same("root", harness.tensor(data, depth), nodes[1]);
    }

    function test_tensor_tooLarge_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Merkle.LeafOutside.selector, 2, 1));
        harness.tensor(new bytes(2049), 1);
    }

    function test_extend_noLeaves_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Merkle.NoLeaves.selector));
        harness.extend(new bytes32[](0), 0, 1);
    }

    function test_constants_areHashes_succeeds() public pure {
        same("zero leaf", Merkle.ZERO_LEAF, sha256(abi.encodePacked(hex"00", new bytes(1024))));
        same("padding leaf", Merkle.PADDING_LEAF, sha256(hex"05"));
    }

    function testFuzz_prefixes_plainHash_succeeds(bytes memory data, bytes32 a, bytes32 b) public view {
        same("header", harness.headerLeaf(data), sha256(abi.encodePacked(hex"02", data)));
        same("descriptor", harness.descriptorLeaf(data), sha256(abi.encodePacked(hex"03", data)));
        same("claim", harness.claimLeaf(a), sha256(abi.encodePacked(hex"04", a)));
        same("node", harness.node(a, b), plainNode(a, b));
    }

    function test_leaf_length_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Merkle.LeafLength.selector, 1023));
        harness.leaf(new bytes(1023));
        VM.expectRevert(abi.encodeWithSelector(Merkle.LeafLength.selector, 1025));
        harness.shortLeaf(new bytes(1025));
    }

    function testFuzz_batch_everyBranch_succeeds(uint256 seed, uint8 countSeed) public view {
        uint256 count = 1 + countSeed % 20;
        uint256 depth = 0;
        while (2 ** depth < count) ++depth;
        bytes32[] memory nodes = new bytes32[](2 ** (depth + 1));
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 j = 0; j < 2 ** depth; ++j) {
            nodes[2 ** depth + j] = j < count ? keccak256(abi.encode(seed, j)) : sha256(hex"05");
            if (j < count) leaves[j] = nodes[2 ** depth + j];
        }
        for (uint256 g = 2 ** depth - 1; g != 0; --g) {
            nodes[g] = sha256(abi.encodePacked(nodes[2 * g], nodes[2 * g + 1]));
        }
        same("root", harness.batch(leaves), nodes[1]);
        for (uint256 j = 0; j < count; ++j) {
            bytes32[] memory proof = new bytes32[](depth);
            for (uint256 up = 0; up < depth; ++up) {
                proof[up] = nodes[((2 ** depth + j) >> up) ^ 1];
            }
            same("branch", harness.batchBranch(nodes[2 ** depth + j], j, proof), nodes[1]);
        }
    }

    function test_batch_empty_isPadding() public view {
        same("root", harness.batch(new bytes32[](0)), sha256(hex"05"));
    }

    function test_batchBranch_outside_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Merkle.LeafOutside.selector, 2, 1));
        harness.batchBranch(0, 2, new bytes32[](1));
    }
}
