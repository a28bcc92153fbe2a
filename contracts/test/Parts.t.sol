// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FAN_OUT} from "../src/generated/Opcodes.sol";
import {Partition, Parts} from "../src/libraries/Parts.sol";
import {Base} from "./Base.sol";

contract PartsTest is Base {
    function boxOf(uint256 seed) private pure returns (uint256[] memory domain) {
        domain = new uint256[](seed % 5);
        for (uint256 v = 0; v < domain.length; ++v) {
            domain[v] = 1 + uint256(keccak256(abi.encode(seed, v))) % 6;
        }
    }

    function testFuzz_ranges_tileTheBox_succeeds(uint256 seed, uint32 part) public pure {
        uint256[] memory domain = boxOf(seed);
        uint256 elements = 1;
        for (uint256 v = 0; v < domain.length; ++v) {
            elements *= domain[v];
        }
        part = uint32(part % (elements + 2));
        Partition memory made = Parts.cut(domain, part);
        uint256 next = 0;
        for (uint256 number = 0; number < made.count; ++number) {
            (int256[] memory from, int256[] memory to, uint256 position) = Parts.ranges(made, number);
            same("position", position, next);
            uint256 size = 1;
            uint256 first = 0;
            uint256 last = 0;
            for (uint256 v = 0; v < domain.length; ++v) {
                yes("inside", 0 <= from[v] && from[v] < to[v] && uint256(to[v]) <= domain[v]);
                size *= uint256(to[v] - from[v]);
                first = first * domain[v] + uint256(from[v]);
                last = last * domain[v] + uint256(to[v] - 1);
            }
            same("first", first, next);
            same("consecutive", last - first + 1, size);
            yes("no more than asked for", part == 0 || size <= part);
            yes("none larger than the first", number == 0 || size <= made.step * made.inner);
            next += size;
        }
        same("all", next, elements);
        if (part == 0) same("one", made.count, 1);
    }

    function testFuzz_cut_asLargeAsCanBe_succeeds(uint256 seed, uint32 part) public pure {
        uint256[] memory domain = boxOf(seed);
        if (domain.length == 0 || part == 0) return;
        Partition memory made = Parts.cut(domain, part);
        if (made.count == 1) return;
        uint256 largest = made.step * made.inner;
        // One position of the axis more is too many, and so are all of them.
        yes("step", largest + made.inner > part);
        yes("axis", domain[made.axis] * made.inner > part);
        same("canonical", Parts.cut(domain, largest).count, made.count);
    }

    function testFuzz_children_coverTheNextLevel_succeeds(uint32 count, uint256 level, uint256 index) public pure {
        if (count == 0) count = 1;
        uint256 levels = Parts.levels(count);
        yes("enough", FAN_OUT ** levels >= count);
        yes("least", levels == 1 || FAN_OUT ** (levels - 1) < count);
        level %= levels + 1;
        if (level == levels) {
            same("a part has none", Parts.children(count, level, 0), 0);
            return;
        }
        uint256 each = FAN_OUT ** (levels - level - 1);
        uint256 below = (uint256(count) + each - 1) / each;
        uint256 nodes = (below + FAN_OUT - 1) / FAN_OUT;
        index %= nodes + 2;
        uint256 expected = index >= nodes ? 0 : index == nodes - 1 ? below - FAN_OUT * index : FAN_OUT;
        same("children", Parts.children(count, level, index), expected);
    }

    function test_levels_atPowers_succeeds() public pure {
        same("1", Parts.levels(1), 1);
        same("64", Parts.levels(64), 1);
        same("65", Parts.levels(65), 2);
        same("4096", Parts.levels(4096), 2);
        same("4097", Parts.levels(4097), 3);
        same("64 of 64", Parts.children(64, 0, 0), 64);
        same("of 65", Parts.children(65, 0, 0), 2);
        same("last of 65", Parts.children(65, 1, 1), 1);
        same("far", Parts.children(65, 1, type(uint64).max), 0);
    }
}
