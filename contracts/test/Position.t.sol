// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Position} from "../src/libraries/Position.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {Base} from "./Base.sol";

contract PositionTest is Base {
    function depthOf(Gindex gindex) external pure returns (uint256) {
        return gindex.depth();
    }

    function relative(Gindex below, Gindex above) external pure returns (Gindex) {
        return below.relativeTo(above);
    }

    function testFuzz_depthAndOffset_rebuild_succeeds(uint128 gindex) public pure {
        if (gindex == 0) gindex = 1;
        uint256 depth = 0;
        while (uint256(gindex) >> (depth + 1) != 0) ++depth;
        same("depth", Gindex.wrap(gindex).depth(), depth);
        same("index", 2 ** depth + Gindex.wrap(gindex).offset(), gindex);
    }

    function testFuzz_relativeTo_descendant_succeeds(uint64 above, uint64 below) public pure {
        if (above == 0) above = 1;
        if (below == 0) below = 1;
        uint256 levels = Gindex.wrap(below).depth();
        uint128 joined = uint128((uint256(above) << levels) + Gindex.wrap(below).offset());
        same("relative", Gindex.unwrap(Gindex.wrap(joined).relativeTo(Gindex.wrap(above))), below);
    }

    function testFuzz_relativeTo_elsewhere_reverts(uint128 above, uint128 below) public {
        if (above < 2) above = 2;
        if (below == 0) below = 1;
        for (uint256 g = below; g != 0; g >>= 1) {
            VM.assume(g != above);
        }
        VM.expectPartialRevert(Position.NotBelow.selector);
        this.relative(Gindex.wrap(below), Gindex.wrap(above));
    }

    function test_depth_zero_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Position.NoPosition.selector));
        this.depthOf(Gindex.wrap(0));
    }
}
