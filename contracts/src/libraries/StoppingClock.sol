// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Duration, Timestamp, latest} from "../types/Time.sol";

/// @notice All that a clock with stops needs.
/// @param resumesAt end of the last stop
/// @param stopped seconds of all stops, those to come included
struct Stops {
    Timestamp resumesAt;
    uint40 stopped;
}

/// @title StoppingClock
/// @notice A clock that stops for a while now and then. Stops queue up: one that begins during another follows it. What
///         the clock shows never decreases, whatever stops are added.
library StoppingClock {
    /// @notice What the clock shows at `time`.
    function reading(Stops memory stops, Timestamp time) internal pure returns (Timestamp) {
        return Timestamp.wrap(Timestamp.unwrap(latest(time, stops.resumesAt)) - stops.stopped);
    }

    /// @notice The clock with one more stop, from `time` on or behind the stops before it.
    function stop(Stops memory stops, Timestamp time, Duration length) internal pure returns (Stops memory) {
        return Stops({
            resumesAt: latest(time, stops.resumesAt).plus(length), stopped: stops.stopped + Duration.unwrap(length)
        });
    }
}
