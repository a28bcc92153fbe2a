// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Monoids} from "../src/generated/Opcodes.sol";
import {Partials} from "../src/libraries/Partials.sol";
import {Base} from "./Base.sol";

/// @dev Partial results against a plain rendering of what they mean.
contract PartialsTest is Base {
    function combineRaw(bytes calldata results, uint8 monoid) external pure returns (int64, uint64) {
        return Partials.combine(results, monoid);
    }

    function oneRaw(bytes calldata results, uint8 monoid, uint256 number) external pure returns (int64, uint64) {
        return Partials.one(results, monoid, number);
    }

    function packed(int64[] memory values, uint64[] memory positions, uint8 monoid)
        private
        pure
        returns (bytes memory results)
    {
        for (uint256 j = 0; j < values.length; ++j) {
            results = monoid >= Monoids.ARGMAX
                ? abi.encodePacked(results, values[j], positions[j])
                : abi.encodePacked(results, values[j]);
        }
    }

    /// @dev Few different values, so that equal ones meet; extreme ones now and then.
    function testFuzz_combine_isTheMonoid(uint256 seed, uint8 count) public view {
        uint256 size = 1 + uint256(count) % 64;
        int64[] memory values = new int64[](size);
        uint64[] memory positions = new uint64[](size);
        for (uint256 j = 0; j < size; ++j) {
            uint256 random = uint256(keccak256(abi.encode(seed, j)));
            values[j] = random % 3 == 0 ? int64(uint64(random >> 8)) : int64(uint64(random >> 8) % 5) - 2;
            positions[j] = random % 7 == 0 ? uint64(random >> 80) : uint64(random >> 80) % 8;
        }
        for (uint8 monoid = uint8(Monoids.SUM); monoid <= Monoids.ARGMIN; ++monoid) {
            bytes memory results = packed(values, positions, monoid);
            same("width", results.length, size * Partials.width(monoid));
            (int64 value, uint64 position) = this.combineRaw(results, monoid);
            (int64 plain, uint64 where) = plainly(values, positions, monoid);
            same("value", uint256(int256(value)), uint256(int256(plain)));
            same("position", position, where);
            (value, position) = this.oneRaw(results, monoid, size - 1);
            same("one value", uint256(int256(value)), uint256(int256(values[size - 1])));
            same("one position", position, monoid >= Monoids.ARGMAX ? positions[size - 1] : 0);
        }
    }

    function plainly(int64[] memory values, uint64[] memory positions, uint8 monoid)
        private
        pure
        returns (int64 value, uint64 position)
    {
        value = values[0];
        position = positions[0];
        for (uint256 j = 1; j < values.length; ++j) {
            bool better;
            if (monoid == Monoids.SUM) {
                unchecked {
                    value += values[j];
                }
            } else if (monoid == Monoids.MAX || monoid == Monoids.ARGMAX) {
                better = values[j] > value;
            } else {
                better = values[j] < value;
            }
            if (monoid != Monoids.SUM && values[j] == value) better = positions[j] < position;
            if (better) (value, position) = (values[j], positions[j]);
        }
        if (monoid < Monoids.ARGMAX) position = 0;
    }
}
