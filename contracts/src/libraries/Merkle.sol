// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Gindex} from "../types/Gindex.sol";
import {Calldata} from "./Calldata.sol";
import {Header} from "./Header.sol";

/// @title Merkle
/// @notice SHA-256 trees: prefixed leaves and nodes, zero subtrees, multi-proofs, and the unprefixed batch tree.
/// @dev The twin of `rollup/merkle.py`. Every call of the precompile is checked for success and for 32 returned bytes,
///      so that a starved call reverts and never looks like a hash.
library Merkle {
    /// @notice Bytes of one leaf of a tensor tree.
    uint256 internal constant LEAF_BYTES = 1024;

    /// @notice `Z(0)`: the leaf of 1,024 zero bytes.
    bytes32 internal constant ZERO_LEAF = 0xc55b90509b8cb9bac53fbdddfc93d4e572685c509f1218423c43a5d6013bbd48;

    /// @notice `H(05)`: stands in a batch where a claim was skipped, and fills the batch up to a power of two.
    bytes32 internal constant PADDING_LEAF = 0xe77b9a9ae9e30b0dbdb6f510a264ef9de781501d7b6b92ae89eb059c5ab743db;

    /// @notice The SHA-256 precompile failed or ran out of gas; call again with more gas.
    error HashFailed();
    /// @notice A leaf has `length` bytes where exactly (or at most) 1,024 belong.
    error LeafLength(uint256 length);
    /// @notice The proof has `given` bytes of siblings, and the path needs `needed`.
    error SiblingCount(uint256 given, uint256 needed);
    /// @notice Leaf indices must be strictly ascending; the one at `position` is not above its predecessor.
    error LeavesUnsorted(uint256 position);
    /// @notice `index` is no leaf of a tree of depth `depth`.
    error LeafOutside(uint256 index, uint256 depth);
    /// @notice A tree needs at least one leaf, and as many hashes as indices; a complete one a power of two, 2 at least.
    error NoLeaves();

    /// @notice Root above several nodes of one level, with a multi-proof.
    /// @param indices strictly ascending, each below `2**depth`; overwritten
    /// @param hashes the nodes at these indices; overwritten
    /// @param depth levels between these nodes and the root
    /// @param siblings 32 bytes each, level by level from the leaves up, left to right within a level; all are used up
    function fold(uint256[] memory indices, bytes32[] memory hashes, uint256 depth, bytes calldata siblings)
        internal
        view
        returns (bytes32 root)
    {
        uint256 count = indices.length;
        if (count == 0 || hashes.length != count) revert NoLeaves();
        for (uint256 j = 1; j < count; ++j) {
            if (indices[j] <= indices[j - 1]) revert LeavesUnsorted(j);
        }
        if (depth < 256 && indices[count - 1] >> depth != 0) revert LeafOutside(indices[count - 1], depth);

        bool ok = true;
        uint256 used;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let ids := add(indices, 32)
            let nodes := add(hashes, 32)
            let next := siblings.offset
            mstore8(buffer, 1)
            // Different indices below 2**depth have become one after at most `depth` levels.
            for {} gt(count, 1) { depth := sub(depth, 1) } {
                let end := shl(5, count)
                let to := 0
                for { let from := 0 } lt(from, end) { from := add(from, 32) } {
                    let index := mload(add(ids, from))
                    let side := shl(5, and(index, 1))
                    mstore(add(add(buffer, 1), side), mload(add(nodes, from)))
                    let partner := add(from, 32)
                    // The one after a right node is no partner of it, and has a larger index.
                    switch and(lt(partner, end), eq(mload(add(ids, partner)), or(index, 1)))
                    case 1 {
                        mstore(add(buffer, 33), mload(add(nodes, partner)))
                        from := partner
                    }
                    default {
                        mstore(sub(add(buffer, 33), side), calldataload(next))
                        next := add(next, 32)
                    }
                    let success := staticcall(gas(), 2, buffer, 65, add(nodes, to), 32)
                    ok := and(ok, and(success, eq(returndatasize(), 32)))
                    mstore(add(ids, to), shr(1, index))
                    to := add(to, 32)
                }
                count := shr(5, to)
            }
            root := mload(nodes)
            // One node is left: what remains is a path.
            let index := mload(ids)
            for {} depth { depth := sub(depth, 1) } {
                let side := shl(5, and(index, 1))
                mstore(add(add(buffer, 1), side), root)
                mstore(sub(add(buffer, 33), side), calldataload(next))
                let success := staticcall(gas(), 2, buffer, 65, 0, 32)
                ok := and(ok, and(success, eq(returndatasize(), 32)))
                root := mload(0)
                index := shr(1, index)
                next := add(next, 32)
            }
            used := sub(next, siblings.offset)
        }
        if (!ok) revert HashFailed();
        if (used != siblings.length) revert SiblingCount(siblings.length, used);
    }

    /// @notice Root above one node at `gindex` (relative to that root), siblings from the lowest up.
    function branch(bytes32 hash, Gindex gindex, bytes calldata siblings) internal view returns (bytes32 root) {
        uint256 needed = 32 * gindex.depth();
        if (siblings.length != needed) revert SiblingCount(siblings.length, needed);
        uint256 index = Gindex.unwrap(gindex);
        bool ok = true;
        root = hash;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 1)
            let next := siblings.offset
            for { let end := add(next, needed) } lt(next, end) { next := add(next, 32) } {
                let side := shl(5, and(index, 1))
                mstore(add(add(buffer, 1), side), root)
                mstore(sub(add(buffer, 33), side), calldataload(next))
                let success := staticcall(gas(), 2, buffer, 65, 0, 32)
                ok := and(ok, and(success, eq(returndatasize(), 32)))
                root := mload(0)
                index := shr(1, index)
            }
        }
        if (!ok) revert HashFailed();
    }

    /// @notice Root over all nodes of one level, from left to right: at least two, and a power of two.
    function complete(bytes32[] calldata hashes) internal view returns (bytes32 root) {
        uint256 count = hashes.length;
        if (count < 2 || count & (count - 1) != 0) revert NoLeaves();
        bool ok = true;
        assembly ("memory-safe") {
            // The prefix of a pair overwrites the last byte before it, of a node that has been hashed already.
            let nodes := add(mload(0x40), 32)
            calldatacopy(nodes, hashes.offset, shl(5, count))
            for {} gt(count, 1) {} {
                count := shr(1, count)
                let from := sub(nodes, 1)
                let end := add(nodes, shl(5, count))
                for { let to := nodes } lt(to, end) { to := add(to, 32) } {
                    mstore8(from, 1)
                    let success := staticcall(gas(), 2, from, 65, to, 32)
                    ok := and(ok, and(success, eq(returndatasize(), 32)))
                    from := add(from, 64)
                }
            }
            root := mload(nodes)
        }
        if (!ok) revert HashFailed();
    }

    /// @notice Root of depth `depth` over nodes that stand side by side from the left; what is missing on the right is
    ///         zero subtrees.
    /// @param hashes roots of subtrees of height `height`, at least one; overwritten
    function extend(bytes32[] memory hashes, uint256 height, uint256 depth) internal view returns (bytes32) {
        return extend(hashes, height, depth, zeros(height + depth));
    }

    /// @notice The same, for whoever has the zero subtrees at hand.
    /// @param zeroAt `zeros` of `height + depth`, or higher
    function extend(bytes32[] memory hashes, uint256 height, uint256 depth, bytes32[] memory zeroAt)
        internal
        view
        returns (bytes32)
    {
        uint256 count = hashes.length;
        if (count == 0) revert NoLeaves();
        if (depth < 256 && (count - 1) >> depth != 0) revert LeafOutside(count - 1, depth);
        bool ok = true;
        for (uint256 level = 0; level < depth; ++level) {
            bytes32 filler = zeroAt[height + level];
            assembly ("memory-safe") {
                let buffer := mload(0x40)
                let nodes := add(hashes, 32)
                let end := shl(5, count)
                let to := 0
                mstore8(buffer, 1)
                for { let from := 0 } lt(from, end) { from := add(from, 64) } {
                    let partner := add(from, 32)
                    mstore(add(buffer, 1), mload(add(nodes, from)))
                    switch lt(partner, end)
                    case 1 { mstore(add(buffer, 33), mload(add(nodes, partner))) }
                    default { mstore(add(buffer, 33), filler) }
                    let success := staticcall(gas(), 2, buffer, 65, add(nodes, to), 32)
                    ok := and(ok, and(success, eq(returndatasize(), 32)))
                    to := add(to, 32)
                }
                count := shr(5, to)
            }
        }
        if (!ok) revert HashFailed();
        return hashes[0];
    }

    /// @notice Root of a tensor's bytes, cut into leaves and extended with zero subtrees to `depth`.
    function tensor(bytes calldata data, uint256 depth) internal view returns (bytes32) {
        return tensorAt(Calldata.offsetOf(data), data.length, depth, zeros(depth));
    }

    /// @notice The same for the bytes at an absolute offset of the calldata, which the caller knows to lie inside.
    /// @param zeroAt `zeros` of `depth`, or higher
    function tensorAt(uint256 start, uint256 length, uint256 depth, bytes32[] memory zeroAt)
        internal
        view
        returns (bytes32 root)
    {
        if (length <= LEAF_BYTES) return _shortTensorAt(start, length, depth, zeroAt);
        bytes32[] memory leaves = new bytes32[]((length + LEAF_BYTES - 1) / LEAF_BYTES);
        for (uint256 j = 0; j < leaves.length; ++j) {
            uint256 left = length - j * LEAF_BYTES;
            leaves[j] = _shortTensorAt(start + j * LEAF_BYTES, left < LEAF_BYTES ? left : LEAF_BYTES, 0, zeroAt);
        }
        return extend(leaves, 0, depth, zeroAt);
    }

    /// @notice Root over the roots of tensors that stand one behind the other, as an input or output root is.
    /// @param zeroAt `zeros` of `tensorDepth` and the levels above the tensors
    function tensorsAt(uint256 start, uint256[] memory lengths, uint256 tensorDepth, bytes32[] memory zeroAt)
        internal
        view
        returns (bytes32)
    {
        if (lengths.length == 1) return tensorAt(start, lengths[0], tensorDepth, zeroAt);
        bytes32[] memory roots = new bytes32[](lengths.length);
        for (uint256 j = 0; j < roots.length; ++j) {
            roots[j] = tensorAt(start, lengths[j], tensorDepth, zeroAt);
            start += lengths[j];
        }
        return extend(roots, tensorDepth, Header.depthFor(roots.length), zeroAt);
    }

    /// @notice `Z(0)` to `Z(height)`: roots of subtrees whose leaves are all zero bytes, by their height.
    function zeros(uint256 height) internal view returns (bytes32[] memory hashes) {
        hashes = new bytes32[](height + 1);
        hashes[0] = ZERO_LEAF;
        for (uint256 level = 0; level < height; ++level) {
            hashes[level + 1] = node(hashes[level], hashes[level]);
        }
    }

    /// @notice Hash of one leaf of exactly 1,024 bytes.
    function leaf(bytes calldata data) internal view returns (bytes32) {
        if (data.length != LEAF_BYTES) revert LeafLength(data.length);
        uint256 start;
        assembly ("memory-safe") {
            start := data.offset
        }
        return leafAt(start);
    }

    /// @notice Hash of the 1,024 bytes of calldata at an absolute offset.
    /// @dev Bytes past the end of the calldata read as zero: the caller checks that the leaf lies inside.
    function leafAt(uint256 calldataOffset) internal view returns (bytes32 hash) {
        bool ok;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 0)
            calldatacopy(add(buffer, 1), calldataOffset, 1024)
            ok := staticcall(gas(), 2, buffer, 1025, 0, 32)
            ok := and(ok, eq(returndatasize(), 32))
            hash := mload(0)
        }
        if (!ok) revert HashFailed();
    }

    /// @notice Hash of a leaf of at most 1,024 bytes, padded with zero bytes.
    function shortLeaf(bytes calldata data) internal view returns (bytes32) {
        if (data.length > LEAF_BYTES) revert LeafLength(data.length);
        return _shortTensorAt(Calldata.offsetOf(data), data.length, 0, new bytes32[](1));
    }

    /// @notice `H(01 | left | right)`.
    function node(bytes32 left, bytes32 right) internal view returns (bytes32 hash) {
        bool ok;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 1)
            mstore(add(buffer, 1), left)
            mstore(add(buffer, 33), right)
            ok := staticcall(gas(), 2, buffer, 65, 0, 32)
            ok := and(ok, eq(returndatasize(), 32))
            hash := mload(0)
        }
        if (!ok) revert HashFailed();
    }

    /// @notice `H(02 | header)`: leaf 0 of a program tree.
    function headerLeaf(bytes calldata header) internal view returns (bytes32) {
        return _prefixed(2, header);
    }

    /// @notice `H(03 | descriptor)`: a further leaf of a program tree.
    function descriptorLeaf(bytes calldata descriptor) internal view returns (bytes32) {
        return _prefixed(3, descriptor);
    }

    /// @notice `H(04 | claim id)`: a leaf of a batch.
    function claimLeaf(bytes32 claimId) internal view returns (bytes32 hash) {
        bool ok;
        assembly ("memory-safe") {
            mstore8(0, 4)
            mstore(1, claimId)
            ok := staticcall(gas(), 2, 0, 33, 0, 32)
            ok := and(ok, eq(returndatasize(), 32))
            hash := mload(0)
        }
        if (!ok) revert HashFailed();
    }

    /// @notice The leaves of a batch of which nothing is posted yet.
    function padding(uint256 count) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](count);
        for (uint256 j = 0; j < count; ++j) {
            leaves[j] = PADDING_LEAF;
        }
    }

    /// @notice Root of a batch: unprefixed nodes, filled up with padding leaves to a power of two; no leaves give one
    ///         padding leaf.
    /// @param leaves in order; overwritten
    function batch(bytes32[] memory leaves) internal view returns (bytes32 root) {
        if (leaves.length == 0) return PADDING_LEAF;
        bytes32 filler = PADDING_LEAF;
        bool ok = true;
        assembly ("memory-safe") {
            let nodes := add(leaves, 32)
            for { let count := mload(leaves) } gt(count, 1) { count := shr(1, add(count, 1)) } {
                let from := nodes
                let to := nodes
                let end := add(nodes, shl(6, shr(1, count)))
                for {} lt(from, end) { from := add(from, 64) } {
                    let success := staticcall(gas(), 2, from, 64, to, 32)
                    ok := and(ok, and(success, eq(returndatasize(), 32)))
                    to := add(to, 32)
                }
                mstore(32, filler)
                if and(count, 1) {
                    mstore(0, mload(from))
                    let success := staticcall(gas(), 2, 0, 64, to, 32)
                    ok := and(ok, and(success, eq(returndatasize(), 32)))
                }
                mstore(0, filler)
                let success := staticcall(gas(), 2, 0, 64, 0, 32)
                ok := and(ok, and(success, eq(returndatasize(), 32)))
                filler := mload(0)
            }
            root := mload(nodes)
        }
        if (!ok) revert HashFailed();
    }

    /// @notice Root of a batch above the leaf at `index`; the proof's length is the batch's depth.
    function batchBranch(bytes32 hash, uint256 index, bytes32[] calldata proof) internal view returns (bytes32) {
        if (proof.length < 256 && index >> proof.length != 0) revert LeafOutside(index, proof.length);
        for (uint256 j = 0; j < proof.length; ++j) {
            hash = index & 1 == 0 ? batchNode(hash, proof[j]) : batchNode(proof[j], hash);
            index >>= 1;
        }
        return hash;
    }

    /// @notice `H(left | right)`, as merkletools builds it.
    function batchNode(bytes32 left, bytes32 right) internal view returns (bytes32 hash) {
        bool ok;
        assembly ("memory-safe") {
            mstore(0, left)
            mstore(32, right)
            ok := staticcall(gas(), 2, 0, 64, 0, 32)
            ok := and(ok, eq(returndatasize(), 32))
            hash := mload(0)
        }
        if (!ok) revert HashFailed();
    }

    /// @dev Of at most one leaf.
    function _shortTensorAt(uint256 start, uint256 length, uint256 depth, bytes32[] memory zeroAt)
        private
        view
        returns (bytes32 root)
    {
        bool ok;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let left := add(buffer, 1)
            mstore8(buffer, 0)
            calldatacopy(left, start, length)
            // Reading behind the end of the calldata gives the zero bytes.
            calldatacopy(add(left, length), calldatasize(), sub(1024, length))
            ok := staticcall(gas(), 2, buffer, 1025, left, 32)
            ok := and(ok, eq(returndatasize(), 32))
            mstore8(buffer, 1)
            let end := add(zeroAt, shl(5, add(depth, 1)))
            for { let filler := add(zeroAt, 32) } lt(filler, end) { filler := add(filler, 32) } {
                mstore(add(buffer, 33), mload(filler))
                let success := staticcall(gas(), 2, buffer, 65, left, 32)
                ok := and(ok, and(success, eq(returndatasize(), 32)))
            }
            root := mload(left)
        }
        if (!ok) revert HashFailed();
    }

    function _prefixed(uint8 prefix, bytes calldata data) private view returns (bytes32 hash) {
        bool ok;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, prefix)
            calldatacopy(add(buffer, 1), data.offset, data.length)
            ok := staticcall(gas(), 2, buffer, add(data.length, 1), 0, 32)
            ok := and(ok, eq(returndatasize(), 32))
            hash := mload(0)
        }
        if (!ok) revert HashFailed();
    }
}
