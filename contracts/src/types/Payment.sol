// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What one account gets of a forfeited bond, in wei; what nobody gets is burned.
struct Payment {
    address to;
    uint128 amount;
}
