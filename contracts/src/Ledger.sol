// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Ledger
/// @notice Free and locked money of every account. At every point, what came in and was not withdrawn is the sum of all
///         balances, all locked bonds and what was burned.
abstract contract Ledger {
    /// @notice Free money, in wei, which its owner can withdraw.
    mapping(address account => uint256 amount) public balance;
    /// @notice Money held as bonds, in wei.
    mapping(address account => uint256 amount) public locked;
    /// @notice Forfeited money, in wei, that nobody got and nobody can ever get.
    uint256 public burned;

    /// @notice `account` got `amount` of free balance from outside.
    event Deposited(address indexed account, uint256 amount);
    /// @notice `account` took `amount` out.
    event Withdrawn(address indexed account, uint256 amount);
    /// @notice `amount` of the account's free balance became a bond.
    event BondLocked(address indexed account, uint256 amount);
    /// @notice A bond of the account became free again, whole.
    event BondUnlocked(address indexed account, uint256 amount);
    /// @notice A bond of the account was taken; `burnt` of it went to nobody.
    event BondForfeited(address indexed account, uint256 amount, uint256 burnt);
    /// @notice `account` got `amount` of somebody's forfeited bond.
    event Paid(address indexed account, uint256 amount);

    /// @notice `account` has `available` wei free and needs `needed`; deposit the difference.
    error InsufficientBalance(address account, uint256 available, uint256 needed);
    /// @notice `account` has `held` wei locked, less than the bond of `needed`.
    error InsufficientLocked(address account, uint256 held, uint256 needed);
    /// @notice The payments from a bond exceed it.
    error PaymentsExceedBond(uint256 payments, uint256 bond);
    /// @notice `account` refused its own withdrawal.
    error WithdrawalRefused(address account);

    /// @notice Adds the value sent to the sender's free balance.
    function deposit() external payable {
        _credit(msg.sender);
    }

    /// @notice Adds the value sent to the free balance of `account`.
    function depositFor(address account) external payable {
        _credit(account);
    }

    /// @notice Sends `amount` of the sender's free balance to the sender.
    function withdraw(uint256 amount) external {
        _take(msg.sender, amount);
        emit Withdrawn(msg.sender, amount);
        (bool accepted,) = msg.sender.call{value: amount}("");
        if (!accepted) revert WithdrawalRefused(msg.sender);
    }

    function _lock(address account, uint256 amount) internal {
        _take(account, amount);
        locked[account] += amount;
        emit BondLocked(account, amount);
    }

    function _unlock(address account, uint256 amount) internal {
        _release(account, amount);
        balance[account] += amount;
        emit BondUnlocked(account, amount);
    }

    function _forfeit(address loser, uint256 bond, address[] calldata payees, uint256[] calldata amounts) internal {
        _release(loser, bond);
        uint256 rest = bond;
        for (uint256 j = 0; j < payees.length; ++j) {
            if (amounts[j] > rest) revert PaymentsExceedBond(bond - rest + amounts[j], bond);
            rest -= amounts[j];
            balance[payees[j]] += amounts[j];
            emit Paid(payees[j], amounts[j]);
        }
        burned += rest;
        emit BondForfeited(loser, bond, rest);
    }

    function _credit(address account) private {
        balance[account] += msg.value;
        emit Deposited(account, msg.value);
    }

    function _take(address account, uint256 amount) private {
        uint256 available = balance[account];
        if (available < amount) revert InsufficientBalance(account, available, amount);
        balance[account] = available - amount;
    }

    function _release(address account, uint256 amount) private {
        uint256 held = locked[account];
        if (held < amount) revert InsufficientLocked(account, held, amount);
        locked[account] = held - amount;
    }
}
