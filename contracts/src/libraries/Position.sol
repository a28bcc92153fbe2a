// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Gindex} from "../types/Gindex.sol";

/// @title Position
/// @notice Arithmetic of generalised indices. Zero is no position and has no depth.
library Position {
    /// @notice 0 is not the index of any node.
    error NoPosition();
    /// @notice `below` does not lie in the subtree of `above`.
    error NotBelow(Gindex above, Gindex below);

    /// @notice The root of any tree.
    Gindex internal constant ROOT = Gindex.wrap(1);

    /// @notice Levels between the root and the node.
    function depth(Gindex gindex) internal pure returns (uint256 levels) {
        uint256 value = Gindex.unwrap(gindex);
        if (value == 0) revert NoPosition();
        unchecked {
            if (value >> 64 != 0) (value, levels) = (value >> 64, 64);
            if (value >> 32 != 0) (value, levels) = (value >> 32, levels + 32);
            if (value >> 16 != 0) (value, levels) = (value >> 16, levels + 16);
            if (value >> 8 != 0) (value, levels) = (value >> 8, levels + 8);
            if (value >> 4 != 0) (value, levels) = (value >> 4, levels + 4);
            if (value >> 2 != 0) (value, levels) = (value >> 2, levels + 2);
            if (value >> 1 != 0) ++levels;
        }
    }

    /// @notice Index of the node among the nodes of its level, from the left.
    function offset(Gindex gindex) internal pure returns (uint256) {
        uint256 value = Gindex.unwrap(gindex);
        return value - 2 ** depth(gindex);
    }

    /// @notice The node's position as seen from its ancestor `above`, which becomes the root.
    function relativeTo(Gindex below, Gindex above) internal pure returns (Gindex) {
        uint256 levelsBelow = depth(below);
        uint256 levelsAbove = depth(above);
        if (levelsBelow < levelsAbove) revert NotBelow(above, below);
        uint256 levels = levelsBelow - levelsAbove;
        if (Gindex.unwrap(below) >> levels != Gindex.unwrap(above)) revert NotBelow(above, below);
        uint256 width = 2 ** levels;
        // forge-lint: disable-next-line(unsafe-typecast) at most 127 levels fit the type
        return Gindex.wrap(uint128(width | (Gindex.unwrap(below) % width)));
    }
}
