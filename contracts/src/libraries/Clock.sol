// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Clocks, Side} from "../types/Dispute.sol";
import {Duration, Timestamp, latest} from "../types/Time.sol";

/// @title Clock
/// @notice The two chess clocks of a game. Every interval is charged to one side, once: to the defender until the node is
///         opened, from then on to the challenger.
library Clock {
    /// @notice Both clocks full and running from `time`.
    function start(Duration each, Timestamp time) internal pure returns (Clocks memory) {
        return Clocks({since: time, defender: each, challenger: each});
    }

    /// @notice The clocks at `time`, and who has run out of it, if anybody.
    /// @param opened when the node of the game was opened; never, if it still isn't
    /// @return charged what is left, running from `time`; zero for a side that used more than it had
    /// @return expired the side that ran out first. Using exactly what one has is in time
    function charge(Clocks memory clocks, Timestamp opened, Timestamp time)
        internal
        pure
        returns (Clocks memory charged, Side expired)
    {
        Timestamp handed = opened.isNever() ? time : latest(opened, clocks.since);
        uint40 byDefender = clocks.since.secondsUntil(handed);
        uint40 byChallenger = handed.secondsUntil(time);

        charged.since = time;
        charged.defender = _less(clocks.defender, byDefender);
        charged.challenger = _less(clocks.challenger, byChallenger);
        // The defender's interval lies before the challenger's, so it is the first to have run out.
        if (byDefender > Duration.unwrap(clocks.defender)) expired = Side.Defender;
        else if (byChallenger > Duration.unwrap(clocks.challenger)) expired = Side.Challenger;
    }

    function _less(Duration left, uint40 used) private pure returns (Duration) {
        uint32 value = Duration.unwrap(left);
        // forge-lint: disable-next-line(unsafe-typecast) below `value`, which has 32 bits
        return Duration.wrap(used < value ? value - uint32(used) : 0);
    }
}
