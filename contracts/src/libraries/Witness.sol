// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "./Calldata.sol";
import {Merkle} from "./Merkle.sol";

/// @notice An authenticated sparse memory: which leaves there are, and which of them nobody has read yet.
/// @param wasRead one byte a leaf, by ordinal
/// @param unread leaves that nobody has read
/// @param leaves in all trees so far
struct Memory {
    bytes wasRead;
    uint256 unread;
    uint256 leaves;
}

/// @title Witness
/// @notice Parses and authenticates the trees of a witness (docs/formats.md, *Witnesses*), and finds leaves in them.
/// @dev A tree is an array of its runs of leaves, ascending, each first leaf << 96 | count << 64 | ordinal of the first leaf
///      << 32 | calldata offset of the first leaf. In front of them, at 0, stands the place of the run that was used last.
// Casts keep low bits on purpose: packed fields, wrapped numbers, two's complement steps.
// forge-lint: disable-next-item(unsafe-typecast)
library Witness {
    using Calldata for uint256;

    /// @notice The witness ends in the middle of a field, or `surplus` bytes follow its last one.
    error WitnessLength(uint256 surplus);
    /// @notice Runs of leaves must be ascending, not empty, and neither overlap nor touch; run `run` is not.
    error RunsUnsorted(uint256 run);
    /// @notice The leaves and siblings fold to `given`, and the tree's root is `expected`.
    error RootDiffers(bytes32 given, bytes32 expected);
    /// @notice The element needs leaf `leaf`, and the witness does not give it.
    error LeafMissing(uint256 leaf);
    /// @notice The witness gives `count` leaves that the element does not read.
    error LeavesUnread(uint256 count);

    uint256 private constant LEAF_BYTES = 1024;

    /// @notice A memory that has room for the leaves of `length` bytes of witness.
    function create(uint256 length) internal pure returns (Memory memory store) {
        store.wasRead = new bytes(length / LEAF_BYTES);
    }

    /// @notice Reads one tree, without the byte that names its access, and checks it against its root.
    /// @param cursor calldata offset of its number of runs, @param end of the witness
    /// @return tree ready to be read from, @return next calldata offset behind the tree
    function parse(Memory memory store, uint256 cursor, uint256 end, bytes32 root, uint256 depth)
        internal
        view
        returns (uint256[] memory tree, uint256 next)
    {
        unchecked {
            uint256 count = cursor.u16();
            uint256 siblings = cursor + 2 + 10 * count;
            uint256 data = siblings + 2 + 32 * siblings.u16();
            uint256 leaves;
            (tree, leaves) = _runs(cursor + 2, count, data, store.leaves);
            next = data + LEAF_BYTES * leaves;
            if (next > end) revert WitnessLength(0);

            uint256[] memory indices = new uint256[](leaves);
            bytes32[] memory hashes = new bytes32[](leaves);
            uint256 leaf = 0;
            for (uint256 j = 1; j <= count; ++j) {
                uint256 run = tree[j];
                uint256 first = run >> 96;
                for (uint256 stop = first + uint32(run >> 64); first < stop; ++first) {
                    indices[leaf] = first;
                    hashes[leaf] = Merkle.leafAt(data + LEAF_BYTES * leaf);
                    ++leaf;
                }
            }
            bytes32 given = Merkle.fold(indices, hashes, depth, Calldata.slice(siblings + 2, data - siblings - 2));
            if (given != root) revert RootDiffers(given, root);
            store.leaves += leaves;
            store.unread += leaves;
        }
    }

    function _runs(uint256 cursor, uint256 count, uint256 data, uint256 ordinal)
        private
        pure
        returns (uint256[] memory tree, uint256 leaves)
    {
        unchecked {
            tree = new uint256[](count + 1);
            tree[0] = 1;
            uint256 behind = 0;
            for (uint256 j = 1; j <= count; ++j) {
                uint256 first = cursor.u64();
                uint256 length = (cursor + 8).u16();
                if (length == 0 || (j != 1 && first <= behind)) revert RunsUnsorted(j);
                behind = first + length;
                tree[j] = (first << 96) | (length << 64) | ((ordinal + leaves) << 32) | (data + LEAF_BYTES * leaves);
                leaves += length;
                cursor += 10;
            }
        }
    }

    /// @notice Calldata offset of leaf `leaf`, with `count` leaves from it on lying side by side; they count as read.
    function locate(Memory memory store, uint256[] memory tree, uint256 leaf, uint256 count)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            if (tree.length == 0) revert LeafMissing(leaf);
            uint256 run = tree[tree[0]];
            uint256 skip = leaf - (run >> 96);
            if (skip >= uint32(run >> 64)) {
                uint256 found = _search(tree, leaf);
                tree[0] = found;
                run = tree[found];
                skip = leaf - (run >> 96);
            }
            // A leaf in front of the run gives a skip far beyond any length.
            if (skip >= uint32(run >> 64)) revert LeafMissing(leaf);
            if (count > uint32(run >> 64) - skip) revert LeafMissing((run >> 96) + uint32(run >> 64));
            bytes memory wasRead = store.wasRead;
            uint256 ordinal = uint32(run >> 32) + skip;
            for (uint256 stop = ordinal + count; ordinal < stop; ++ordinal) {
                if (wasRead[ordinal] == 0) {
                    wasRead[ordinal] = 0x01;
                    --store.unread;
                }
            }
            return uint32(run) + LEAF_BYTES * skip;
        }
    }

    /// @notice Reverts unless every leaf was read.
    function requireAllRead(Memory memory store) internal pure {
        if (store.unread != 0) revert LeavesUnread(store.unread);
    }

    /// @dev The last run that does not begin behind the leaf (or the first run).
    function _search(uint256[] memory tree, uint256 leaf) private pure returns (uint256 low) {
        unchecked {
            low = 1;
            uint256 high = tree.length;
            while (high - low > 1) {
                uint256 middle = (low + high) >> 1;
                if (tree[middle] >> 96 <= leaf) low = middle;
                else high = middle;
            }
        }
    }
}
