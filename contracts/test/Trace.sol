// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev A small trace in memory with its plain tree: 8 entries (5 in use) of 4 leaves. Written without the library that
///      it tests.
struct Trace {
    bytes[] leaves;
    bytes32[] nodes;
}

library Traces {
    uint256 internal constant TRACE_DEPTH = 3;
    uint256 internal constant TENSOR_DEPTH = 2;
    uint256 internal constant DEPTH = 5;
    uint256 internal constant VALUES = 5;

    /// @dev Bytes of each value: two inputs, three outputs of ops.
    function byteLength(uint256 value) internal pure returns (uint256) {
        return [uint256(1500), 20, 4096, 20, 100][value];
    }

    function honest() internal pure returns (Trace memory trace) {
        trace.leaves = new bytes[](2 ** DEPTH);
        for (uint256 leaf = 0; leaf < 2 ** DEPTH; ++leaf) {
            trace.leaves[leaf] = new bytes(1024);
            uint256 value = leaf >> TENSOR_DEPTH;
            uint256 before = (leaf % 2 ** TENSOR_DEPTH) * 1024;
            if (value >= VALUES) continue;
            for (uint256 j = 0; j < 1024 && before + j < byteLength(value); ++j) {
                trace.leaves[leaf][j] = bytes1(uint8(uint256(keccak256(abi.encode(value, before + j)))));
            }
        }
        build(trace);
    }

    /// @dev The same trace with one byte changed.
    function changed(uint256 leaf, uint256 index) internal pure returns (Trace memory trace) {
        trace = honest();
        trace.leaves[leaf][index] = trace.leaves[leaf][index] ^ 0x01;
        build(trace);
    }

    function build(Trace memory trace) internal pure {
        trace.nodes = new bytes32[](2 ** (DEPTH + 1));
        for (uint256 leaf = 0; leaf < 2 ** DEPTH; ++leaf) {
            trace.nodes[2 ** DEPTH + leaf] = sha256(abi.encodePacked(hex"00", trace.leaves[leaf]));
        }
        for (uint256 g = 2 ** DEPTH - 1; g != 0; --g) {
            trace.nodes[g] = sha256(abi.encodePacked(hex"01", trace.nodes[2 * g], trace.nodes[2 * g + 1]));
        }
    }

    function root(Trace memory trace) internal pure returns (bytes32) {
        return trace.nodes[1];
    }

    function entry(Trace memory trace, uint256 value) internal pure returns (bytes32) {
        return trace.nodes[2 ** TRACE_DEPTH + value];
    }

    function children(Trace memory trace, uint256 gindex, uint256 levels)
        internal
        pure
        returns (bytes32[] memory found)
    {
        found = new bytes32[](2 ** levels);
        for (uint256 j = 0; j < found.length; ++j) {
            found[j] = trace.nodes[(gindex << levels) + j];
        }
    }

    /// @dev Siblings from `gindex` up to the level of `top`.
    function path(Trace memory trace, uint256 gindex, uint256 top) internal pure returns (bytes memory siblings) {
        for (; gindex != top; gindex >>= 1) {
            siblings = abi.encodePacked(siblings, trace.nodes[gindex ^ 1]);
        }
    }

    /// @dev The bytes of one tensor, without padding.
    function tensor(Trace memory trace, uint256 value) internal pure returns (bytes memory data) {
        data = new bytes(byteLength(value));
        for (uint256 j = 0; j < data.length; ++j) {
            data[j] = trace.leaves[(value << TENSOR_DEPTH) + j / 1024][j % 1024];
        }
    }
}
