// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Escrow
/// @notice What accounts have earned here or get back, and how it leaves.
abstract contract Escrow {
    /// @notice Wei that an account can withdraw.
    mapping(address account => uint256 amount) public earned;

    /// @notice Money left.
    event Withdrawn(address indexed account, uint256 amount);

    /// @notice Nothing to withdraw.
    error NothingEarned(address account);
    /// @notice The account does not take money.
    error WithdrawalRefused(address account);

    /// @notice Pays out what the sender has earned or got back.
    // slither-disable-next-line low-level-calls,arbitrary-send-eth to the caller itself, after the books are written
    function withdraw() external {
        uint256 amount = earned[msg.sender];
        if (amount == 0) revert NothingEarned(msg.sender);
        earned[msg.sender] = 0;
        emit Withdrawn(msg.sender, amount);
        (bool accepted,) = msg.sender.call{value: amount}("");
        if (!accepted) revert WithdrawalRefused(msg.sender);
    }
}
