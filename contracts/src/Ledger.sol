// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Payout} from "./types/Payout.sol";

/// @title Ledger
/// @notice Free and locked money of every account. At every point, what came in and was not withdrawn is the sum of all
///         balances, all locked bonds and what was burned.
abstract contract Ledger {
    /// @dev Both in wei; one slot, since what leaves one mostly enters the other.
    struct Account {
        uint128 free;
        uint128 held;
    }

    /// @notice Forfeited money, in wei, that nobody got and nobody can ever get.
    uint256 public burned;

    mapping(address owner => Account account) private _accounts;

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
    // slither-disable-next-line low-level-calls a plain transfer, whose failure reverts, after the books are written
    function withdraw(uint256 amount) external {
        uint128 available = _accounts[msg.sender].free;
        if (available < amount) revert InsufficientBalance(msg.sender, available, amount);
        // forge-lint: disable-next-line(unsafe-typecast) at most `available`
        _accounts[msg.sender].free = available - uint128(amount);
        emit Withdrawn(msg.sender, amount);
        (bool accepted,) = msg.sender.call{value: amount}("");
        if (!accepted) revert WithdrawalRefused(msg.sender);
    }

    /// @notice Free money of an account, in wei, which its owner can withdraw.
    function balance(address account) public view returns (uint256) {
        return _accounts[account].free;
    }

    /// @notice Money of an account that is held as bonds, in wei.
    function locked(address account) public view returns (uint256) {
        return _accounts[account].held;
    }

    /// @dev Locks a part of an account's free balance, after `added` wei that came in for it, in one write.
    function _lock(address account, uint256 amount, uint256 added) internal {
        Account memory before = _accounts[account];
        uint256 available = before.free + added;
        if (available < amount) revert InsufficientBalance(account, available, amount);
        // forge-lint: disable-next-line(unsafe-typecast) no chain has 2**128 wei
        _accounts[account] = Account({free: uint128(available - amount), held: before.held + uint128(amount)});
        if (added != 0) emit Deposited(account, added);
        emit BondLocked(account, amount);
    }

    function _unlock(address account, uint256 amount) internal {
        Account memory before = _accounts[account];
        uint128 freed = _within(account, before.held, amount);
        _accounts[account] = Account({free: before.free + freed, held: before.held - freed});
        emit BondUnlocked(account, amount);
    }

    function _forfeit(address loser, uint256 bond, Payout calldata payout) internal {
        uint256 paid = uint256(payout.prize) + payout.fee;
        if (paid > bond) revert PaymentsExceedBond(paid, bond);
        uint128 held = _accounts[loser].held;
        _accounts[loser].held = held - _within(loser, held, bond);
        _pay(payout.winner, payout.prize);
        _pay(payout.collector, payout.fee);
        burned += bond - paid;
        emit BondForfeited(loser, bond, bond - paid);
    }

    function _pay(address account, uint128 amount) private {
        if (amount == 0) return;
        _accounts[account].free += amount;
        emit Paid(account, amount);
    }

    function _credit(address account) private {
        // forge-lint: disable-next-line(unsafe-typecast) no chain has 2**128 wei
        _accounts[account].free += uint128(msg.value);
        emit Deposited(account, msg.value);
    }

    /// @dev What fits an account's locked money fits its type.
    function _within(address account, uint128 held, uint256 amount) private pure returns (uint128) {
        if (held < amount) revert InsufficientLocked(account, held, amount);
        // forge-lint: disable-next-line(unsafe-typecast) at most `held`
        return uint128(amount);
    }
}
