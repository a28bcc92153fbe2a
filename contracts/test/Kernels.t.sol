// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kernels} from "../src/libraries/Kernels.sol";
import {Base} from "./Base.sol";

/// @dev The kernels on elements of calldata, which begin at byte `from`, and plain versions beside them.
contract KernelsHarness {
    function read(bytes calldata data, uint256 from, uint256 shift) external pure returns (int256) {
        return Kernels.read(place(data, from), shift);
    }

    function dot(
        bytes calldata data,
        uint256[2] calldata from,
        int256[2] calldata step,
        uint256[2] calldata shift,
        uint256 count
    ) external pure returns (int256) {
        return Kernels.dot(
            place(data, from[0]), uint256(step[0]), shift[0], place(data, from[1]), uint256(step[1]), shift[1], count
        );
    }

    function total(bytes calldata data, uint256 from, int256 step, uint256 shift, uint256 count)
        external
        pure
        returns (int256)
    {
        return Kernels.total(place(data, from), uint256(step), shift, count);
    }

    function largest(bytes calldata data, uint256 from, int256 step, uint256 shift, uint256 count, int256 sign)
        external
        pure
        returns (int256, uint256)
    {
        return Kernels.largest(place(data, from), uint256(step), shift, count, sign);
    }

    function place(bytes calldata data, uint256 from) private pure returns (uint256 cursor) {
        assembly ("memory-safe") {
            cursor := add(data.offset, from)
        }
    }
}

contract KernelsTest is Base {
    KernelsHarness private harness = new KernelsHarness();
    uint256 private constant MOST = 100;

    /// @dev Bytes of random elements, a quarter of them extremes of every dtype.
    function elements(uint256 seed, uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 j = 0; j < length; ++j) {
            uint256 random = uint256(keccak256(abi.encode(seed, j / 8)));
            bytes memory extreme = hex"00ff807f";
            data[j] = random % 4 == 0
                ? (j % 8 == 7 ? extreme[2 + random / 4 % 2] : extreme[random / 4 % 2])
                : bytes1(uint8(random >> (8 * (j % 8) + 16)));
        }
    }

    /// @dev A little-endian element, read byte by byte.
    function plain(bytes memory data, uint256 from, uint256 shift) private pure returns (int256) {
        uint256 value = 0;
        uint256 size = 1 << shift;
        for (uint256 j = size; j != 0; --j) {
            value = (value << 8) | uint8(data[from + j - 1]);
        }
        return value >> (8 * size - 1) == 0 ? int256(value) : int256(value) - int256(1 << (8 * size));
    }

    function same(string memory what, int256 actual, int256 expected) private pure {
        same(what, bytes32(uint256(actual)), bytes32(uint256(expected)));
    }

    function test_read_equalsPlain_succeeds(uint256 seed, uint256 from, uint256 shift) external view {
        shift %= 4;
        bytes memory data = elements(seed, 64);
        from %= 65 - (1 << shift);
        same("element", harness.read(data, from, shift), plain(data, from, shift));
    }

    function test_dot_adjacent_equalsPlain_succeeds(uint256 seed, uint256 x, uint256 y, uint256 count) external view {
        x %= 4;
        y %= 4;
        count %= MOST;
        uint256 behind = (count << x) + seed % 7;
        bytes memory data = elements(seed, behind + (count << y) + 1);
        int256 sum = 0;
        for (uint256 j = 0; j < count; ++j) {
            sum += plain(data, j << x, x) * plain(data, behind + (j << y), y);
        }
        int256[2] memory steps = [int256(1 << x), int256(1 << y)];
        same("sum of products", harness.dot(data, [uint256(0), behind], steps, [x, y], count), sum);
    }

    function test_dot_strided_equalsPlain_succeeds(
        uint256 seed,
        uint256 x,
        uint256 y,
        uint256 count,
        int256 a,
        int256 b
    ) external view {
        x %= 4;
        y %= 4;
        count %= 20;
        a %= 4;
        b %= 4;
        bytes memory data = elements(seed, 1024);
        int256[2] memory steps = [a * int256(1 << x), b * int256(1 << y)];
        int256 sum = 0;
        for (uint256 j = 0; j < count; ++j) {
            sum += plain(data, uint256(512 + int256(j) * steps[0]), x)
            * plain(data, uint256(512 + int256(j) * steps[1]), y);
        }
        int256 dot = harness.dot(data, [uint256(512), 512], steps, [x, y], count);
        same("sum of products", dot, sum);
    }

    function test_total_equalsPlain_succeeds(uint256 seed, uint256 shift, uint256 count, int256 step) external view {
        shift %= 4;
        count %= MOST;
        // Adjacent, the case with a kernel of its own, half of the time.
        step = step < 0 ? int256(1) : step % 4;
        bytes memory data = elements(seed, (MOST * 4 << shift) + 8);
        int256 sum = 0;
        for (uint256 j = 0; j < count; ++j) {
            sum += plain(data, 3 + (j * uint256(step) << shift), shift);
        }
        same("sum", harness.total(data, 3, step * int256(1 << shift), shift, count), sum);
    }

    function test_largest_equalsPlain_succeeds(uint256 seed, uint256 shift, uint256 count, bool smallest)
        external
        view
    {
        shift %= 4;
        count = 1 + count % MOST;
        bytes memory data = elements(seed, count << shift);
        int256 sign = smallest ? int256(-1) : int256(1);
        int256 best = type(int256).min;
        uint256 bestAt = 0;
        for (uint256 j = 0; j < count; ++j) {
            int256 element = sign * plain(data, j << shift, shift);
            if (element > best) {
                best = element;
                bestAt = j;
            }
        }
        (int256 value, uint256 index) = harness.largest(data, 0, int256(1 << shift), shift, count, sign);
        same("value", value, best);
        same("index", index, bestAt);
    }

    function test_dot_allExtremes_succeeds() external view {
        for (uint256 pair = 0; pair < 4; ++pair) {
            uint256 x = pair & 1;
            uint256 y = pair >> 1;
            uint256 count = 4096;
            bytes memory data = new bytes((count << x) + (count << y));
            for (uint256 j = 0; j < count; ++j) {
                data[(j + 1 << x) - 1] = 0x80;
                data[(count << x) + (j + 1 << y) - 1] = 0x80;
            }
            int256 product = int256(1 << (8 * (1 << x) - 1)) * int256(1 << (8 * (1 << y) - 1));
            int256[2] memory steps = [int256(1 << x), int256(1 << y)];
            same("extremes", harness.dot(data, [uint256(0), count << x], steps, [x, y], count), int256(count) * product);
        }
    }
}
