// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Clock} from "../src/libraries/Clock.sol";
import {Clocks, Side} from "../src/types/Dispute.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {Base} from "./Base.sol";

contract ClockTest is Base {
    using Clock for Clocks;

    function clocks(uint32 since, uint32 defender, uint32 challenger) private pure returns (Clocks memory) {
        return Clocks(Timestamp.wrap(since), Duration.wrap(defender), Duration.wrap(challenger));
    }

    function test_charge_defenderDeadline_inTime() public pure {
        (, Side expired) = clocks(100, 10, 10).charge(Timestamp.wrap(0), Timestamp.wrap(110));
        yes("at the deadline", expired == Side.None);
        (, expired) = clocks(100, 10, 10).charge(Timestamp.wrap(0), Timestamp.wrap(111));
        yes("after it", expired == Side.Defender);
    }

    function test_charge_challengerDeadline_inTime() public pure {
        (, Side expired) = clocks(100, 10, 10).charge(Timestamp.wrap(105), Timestamp.wrap(115));
        yes("at the deadline", expired == Side.None);
        (, expired) = clocks(100, 10, 10).charge(Timestamp.wrap(105), Timestamp.wrap(116));
        yes("after it", expired == Side.Challenger);
    }

    function test_charge_openedAfterDeadline_defenderExpired() public pure {
        (, Side expired) = clocks(100, 10, 10).charge(Timestamp.wrap(111), Timestamp.wrap(500));
        yes("the defender", expired == Side.Defender);
    }

    function test_charge_openedBefore_challengerPaysAll() public pure {
        (Clocks memory charged, Side expired) = clocks(100, 10, 10).charge(Timestamp.wrap(50), Timestamp.wrap(107));
        yes("nobody", expired == Side.None);
        same("defender", Duration.unwrap(charged.defender), 10);
        same("challenger", Duration.unwrap(charged.challenger), 3);
    }

    /// @dev Second by second: each belongs to exactly one side.
    function testFuzz_charge_everySecondOnce_succeeds(uint16 since, uint8 openAfter, uint8 length, bool isOpened)
        public
        pure
    {
        uint256 start = uint256(since) + 1000;
        uint256 end = start + length;
        uint256 opened = isOpened ? start + openAfter - 100 : 0;
        if (opened > end) opened = end;
        uint256 byDefender;
        uint256 byChallenger;
        for (uint256 second = start; second < end; ++second) {
            if (opened != 0 && second >= opened) ++byChallenger;
            else ++byDefender;
        }
        (Clocks memory charged, Side expired) =
            clocks(uint32(start), 120, 90).charge(Timestamp.wrap(uint40(opened)), Timestamp.wrap(uint40(end)));
        Side first = byDefender > 120 ? Side.Defender : byChallenger > 90 ? Side.Challenger : Side.None;
        yes("expired", expired == first);
        same("since", Timestamp.unwrap(charged.since), end);
        same("defender", Duration.unwrap(charged.defender), byDefender > 120 ? 0 : 120 - byDefender);
        same("challenger", Duration.unwrap(charged.challenger), byChallenger > 90 ? 0 : 90 - byChallenger);
    }

    /// @dev Charging in two parts is charging once.
    function testFuzz_charge_split_sameAsWhole(uint8 a, uint8 b) public pure {
        uint40 middle = 1000 + uint40(a);
        uint40 end = middle + b;
        (Clocks memory half,) = clocks(1000, 1000, 1000).charge(Timestamp.wrap(0), Timestamp.wrap(middle));
        (half,) = half.charge(Timestamp.wrap(middle), Timestamp.wrap(end));
        (Clocks memory whole,) = clocks(1000, 1000, 1000).charge(Timestamp.wrap(middle), Timestamp.wrap(end));
        same("clocks", keccak256(abi.encode(half)), keccak256(abi.encode(whole)));
    }
}
