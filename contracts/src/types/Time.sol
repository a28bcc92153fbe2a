// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Seconds since the epoch, as L1 counts them; zero means never.
type Timestamp is uint40;

/// @notice Seconds.
type Duration is uint32;

/// @notice The end of an interval lies before its start.
error NegativeInterval(Timestamp start, Timestamp end);

function currentTime() view returns (Timestamp) {
    // forge-lint: disable-next-line(unsafe-typecast) 2**40 seconds are longer than any chain lasts
    return Timestamp.wrap(uint40(block.timestamp));
}

/// @dev Seconds as `uint40`, so that an interval longer than any `Duration` still compares as longer.
function secondsUntil(Timestamp start, Timestamp end) pure returns (uint40) {
    if (Timestamp.unwrap(end) < Timestamp.unwrap(start)) revert NegativeInterval(start, end);
    return Timestamp.unwrap(end) - Timestamp.unwrap(start);
}

function plus(Timestamp start, Duration length) pure returns (Timestamp) {
    return Timestamp.wrap(Timestamp.unwrap(start) + Duration.unwrap(length));
}

function isAfter(Timestamp a, Timestamp b) pure returns (bool) {
    return Timestamp.unwrap(a) > Timestamp.unwrap(b);
}

function isNever(Timestamp a) pure returns (bool) {
    return Timestamp.unwrap(a) == 0;
}

function latest(Timestamp a, Timestamp b) pure returns (Timestamp) {
    return isAfter(a, b) ? a : b;
}

using {secondsUntil, plus, isAfter as >, isNever} for Timestamp global;
