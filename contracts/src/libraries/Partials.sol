// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Monoids} from "../generated/Opcodes.sol";
import {Calldata} from "./Calldata.sol";

/// @title Partials
/// @notice The partial results of an answer: for a sum, a maximum or a minimum an `i64` each; for an argument an `i64`, the
///         value, and a `u64`, its position in the whole domain. All big endian, one behind the other.
/// @dev Nothing is checked here: whoever calls has compared the length of the results.
library Partials {
    using Calldata for uint256;

    /// @notice Whether the monoid reduces to a position.
    function isArgument(uint8 monoid) internal pure returns (bool) {
        return monoid >= Monoids.ARGMAX;
    }

    /// @notice Bytes of one partial result.
    function width(uint8 monoid) internal pure returns (uint256) {
        return isArgument(monoid) ? 16 : 8;
    }

    /// @notice One partial result; its position is 0 unless the monoid reduces to a position.
    function one(bytes calldata results, uint8 monoid, uint256 number)
        internal
        pure
        returns (int64 value, uint64 position)
    {
        uint256 cursor = Calldata.offsetOf(results) + number * width(monoid);
        // forge-lint: disable-next-line(unsafe-typecast) both are read as 64 bits
        (value, position) = (int64(cursor.i64()), isArgument(monoid) ? uint64((cursor + 8).u64()) : 0);
    }

    /// @notice What the partial results reduce to. Sums wrap modulo 2^64; of equal values the lowest position comes first.
    function combine(bytes calldata results, uint8 monoid) internal pure returns (int64 value, uint64 position) {
        unchecked {
            uint256 cursor = Calldata.offsetOf(results);
            uint256 end = cursor + results.length;
            if (monoid == Monoids.SUM) {
                int256 sum = 0;
                for (; cursor < end; cursor += 8) {
                    sum += cursor.i64();
                }
                // forge-lint: disable-next-line(unsafe-typecast) modulo 2^64
                return (int64(sum), 0);
            }
            bool smallest = monoid == Monoids.MIN || monoid == Monoids.ARGMIN;
            bool argument = isArgument(monoid);
            uint256 each = width(monoid);
            int256 best = cursor.i64();
            uint256 where = argument ? (cursor + 8).u64() : 0;
            for (cursor += each; cursor < end; cursor += each) {
                int256 other = cursor.i64();
                uint256 there = argument ? (cursor + 8).u64() : 0;
                if (other == best ? there < where : (other < best) == smallest) (best, where) = (other, there);
            }
            // forge-lint: disable-next-line(unsafe-typecast) both were read as 64 bits
            return (int64(best), uint64(where));
        }
    }
}
