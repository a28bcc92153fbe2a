// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Who gets what of a forfeited bond, in wei; the rest is burned.
/// @param winner the other side
/// @param collector who reported a timeout; gets no fee otherwise
struct Payout {
    address winner;
    uint128 prize;
    address collector;
    uint128 fee;
}
