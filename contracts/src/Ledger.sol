// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Payment} from "./types/Payment.sol";
import {Duration, Timestamp, currentTime} from "./types/Time.sol";

/// @title Ledger
/// @notice Everybody's money. Bonds of claims come from the free balance, which leaves the ledger only after a wait, so that
///         nobody can take it out in front of a batch with his claims. Bonds of challenges come from earnings, which can be
///         withdrawn at any time. At every point, what came in and was not withdrawn is the sum of all balances, all
///         earnings, all locked bonds and what was burned.
abstract contract Ledger {
    /// @dev In wei, and together at most `type(uint80).max`, so that no move from one to another can overflow. One slot,
    ///      since what leaves one mostly enters the other.
    struct Account {
        uint80 free;
        uint80 earned;
        uint80 held;
    }

    /// @dev `amount` wei of the free balance that may leave from `due` on.
    struct Withdrawal {
        uint80 amount;
        Timestamp due;
    }

    Duration private immutable WITHDRAWAL_DELAY;

    /// @notice Forfeited money, in wei, that nobody got and nobody can ever get.
    uint256 public burned;

    mapping(address owner => Account account) private _accounts;
    mapping(address owner => Withdrawal withdrawal) private _withdrawals;

    /// @notice `account` got `amount` of free balance from outside.
    event Deposited(address indexed account, uint256 amount);
    /// @notice `account` got `amount` of earnings from outside.
    event Funded(address indexed account, uint256 amount);
    /// @notice `amount` of the account's earnings became free balance.
    event Redeposited(address indexed account, uint256 amount);
    /// @notice The account will take up to `amount` of its free balance out, at `due` at the earliest. It replaces whatever the
    ///         account announced before.
    event WithdrawalAnnounced(address indexed account, uint256 amount, Timestamp due);
    /// @notice `account` took `amount` of its free balance (`wasFree`) or of its earnings out.
    event Withdrawn(address indexed account, uint256 amount, bool wasFree);
    /// @notice `amount` of the account's free balance or earnings became a bond.
    event BondLocked(address indexed account, uint256 amount);
    /// @notice A bond of the account went back to where it had come from, whole.
    event BondUnlocked(address indexed account, uint256 amount);
    /// @notice A bond of the account was taken; `burnt` of it went to nobody.
    event BondForfeited(address indexed account, uint256 amount, uint256 burnt);
    /// @notice `account` earned `amount` of somebody's forfeited bond.
    event Paid(address indexed account, uint256 amount);

    /// @notice `account` has `available` wei free and needs `needed`; deposit the difference.
    error InsufficientBalance(address account, uint256 available, uint256 needed);
    /// @notice `account` has `available` wei of earnings and needs `needed`; send or fund the difference.
    error InsufficientEarnings(address account, uint256 available, uint256 needed);
    /// @notice `account` has `held` wei locked, less than the bond of `needed`.
    error InsufficientLocked(address account, uint256 held, uint256 needed);
    /// @notice An account holds less than 2^80 wei, and `account` would have `total`.
    error AccountFull(address account, uint256 total);
    /// @notice The payments from a bond exceed it.
    error PaymentsExceedBond(uint256 payments, uint256 bond);
    /// @notice What `account` announced to withdraw can leave from `due` on; 0 if it announced nothing.
    error WithdrawalNotDue(address account, Timestamp due);
    /// @notice `account` refused its own withdrawal.
    error WithdrawalRefused(address account);

    /// @param withdrawalDelay from announcing a withdrawal until it may be completed
    constructor(Duration withdrawalDelay) {
        WITHDRAWAL_DELAY = withdrawalDelay;
    }

    /// @notice Adds the value sent to the sender's free balance.
    function deposit() external payable {
        _deposit(msg.sender);
    }

    /// @notice Adds the value sent to the free balance of `account`.
    function depositFor(address account) external payable {
        _deposit(account);
    }

    /// @notice Adds the value sent to the sender's earnings.
    function fund() external payable {
        _accounts[msg.sender].earned += _fitting(msg.sender, _accounts[msg.sender], msg.value);
        emit Funded(msg.sender, msg.value);
    }

    /// @notice Makes `amount` of the sender's earnings free balance.
    function redeposit(uint256 amount) external {
        Account storage account = _accounts[msg.sender];
        uint80 moved = _takeEarned(account, msg.sender, amount);
        account.free += moved;
        emit Redeposited(msg.sender, amount);
    }

    /// @notice Sends `amount` of the sender's earnings to the sender.
    function withdraw(uint256 amount) external {
        _takeEarned(_accounts[msg.sender], msg.sender, amount);
        _send(amount, false);
    }

    /// @notice Says that `amount` of the sender's free balance will be withdrawn. Until it is, it may become bonds of claims.
    ///         It replaces whatever was announced before; zero takes it back.
    function announceWithdrawal(uint256 amount) external {
        Timestamp due = currentTime().plus(WITHDRAWAL_DELAY);
        // forge-lint: disable-next-line(unsafe-typecast) more than an account can hold is all of it
        uint80 capped = amount < type(uint80).max ? uint80(amount) : type(uint80).max;
        _withdrawals[msg.sender] = Withdrawal(capped, amount == 0 ? Timestamp.wrap(0) : due);
        emit WithdrawalAnnounced(msg.sender, amount, due);
    }

    /// @notice Sends what was announced to the sender, or whatever of it is still free.
    function completeWithdrawal() external {
        Withdrawal memory announced = _withdrawals[msg.sender];
        if (announced.due.isNever() || announced.due > currentTime()) {
            revert WithdrawalNotDue(msg.sender, announced.due);
        }
        delete _withdrawals[msg.sender];
        Account storage account = _accounts[msg.sender];
        uint80 amount = announced.amount < account.free ? announced.amount : account.free;
        account.free -= amount;
        _send(amount, true);
    }

    /// @notice Free money of an account, in wei, for bonds of claims.
    function balance(address account) public view returns (uint256) {
        return _accounts[account].free;
    }

    /// @notice What an account earned, or brought in for bonds of challenges, in wei.
    function earnings(address account) public view returns (uint256) {
        return _accounts[account].earned;
    }

    /// @notice Money of an account that is held as bonds, in wei.
    function locked(address account) public view returns (uint256) {
        return _accounts[account].held;
    }

    /// @notice What an account announced to withdraw from its free balance, and when it may; zero if nothing.
    function withdrawalOf(address account) external view returns (uint256 amount, Timestamp due) {
        Withdrawal storage announced = _withdrawals[account];
        return (announced.amount, announced.due);
    }

    /// @dev Locks a claim's bond.
    function _lockFree(address owner, uint256 bond) internal {
        Account storage account = _accounts[owner];
        uint80 available = account.free;
        if (available < bond) revert InsufficientBalance(owner, available, bond);
        // forge-lint: disable-next-item(unsafe-typecast) at most `available`
        (account.free, account.held) = (available - uint80(bond), account.held + uint80(bond));
        emit BondLocked(owner, bond);
    }

    /// @dev Frees a claim's bond.
    function _unlockFree(address owner, uint256 bond) internal {
        Account storage account = _accounts[owner];
        account.free += _takeHeld(account, owner, bond);
        emit BondUnlocked(owner, bond);
    }

    /// @dev Locks a challenge's bond, after `added` wei that came in for it.
    function _lockEarned(address owner, uint256 bond, uint256 added) internal {
        Account storage account = _accounts[owner];
        if (added != 0) {
            account.earned += _fitting(owner, account, added);
            emit Funded(owner, added);
        }
        account.held += _takeEarned(account, owner, bond);
        emit BondLocked(owner, bond);
    }

    /// @dev Frees a challenge's bond.
    function _unlockEarned(address owner, uint256 bond) internal {
        Account storage account = _accounts[owner];
        account.earned += _takeHeld(account, owner, bond);
        emit BondUnlocked(owner, bond);
    }

    /// @dev Burns as much of a bond as the free balance has; returns how much that was.
    function _burnFree(address owner, uint256 bond) internal returns (uint256 burnt) {
        Account storage account = _accounts[owner];
        uint80 available = account.free;
        burnt = available < bond ? available : bond;
        // forge-lint: disable-next-line(unsafe-typecast) at most `available`
        account.free = available - uint80(burnt);
        burned += burnt;
        emit BondForfeited(owner, burnt, burnt);
    }

    /// @dev Takes a locked bond. No account can make it fail: what does not fit one that is full is burned.
    function _forfeit(address loser, uint256 bond, Payment[] calldata payments) internal {
        _takeHeld(_accounts[loser], loser, bond);
        uint256 asked = 0;
        uint256 paid = 0;
        for (uint256 j = 0; j < payments.length; ++j) {
            asked += payments[j].amount;
            paid += _pay(payments[j].to, payments[j].amount);
        }
        if (asked > bond) revert PaymentsExceedBond(asked, bond);
        burned += bond - paid;
        emit BondForfeited(loser, bond, bond - paid);
    }

    function _pay(address owner, uint256 amount) private returns (uint80 paid) {
        if (amount == 0) return 0;
        Account storage account = _accounts[owner];
        uint256 room = type(uint80).max - _total(account);
        // forge-lint: disable-next-line(unsafe-typecast) at most `room`
        paid = uint80(amount < room ? amount : room);
        account.earned += paid;
        emit Paid(owner, paid);
    }

    function _deposit(address owner) private {
        _accounts[owner].free += _fitting(owner, _accounts[owner], msg.value);
        emit Deposited(owner, msg.value);
    }

    // slither-disable-next-line low-level-calls,arbitrary-send-eth to the caller itself; a plain transfer, whose failure reverts, after the books are written
    function _send(uint256 amount, bool wasFree) private {
        emit Withdrawn(msg.sender, amount, wasFree);
        (bool accepted,) = msg.sender.call{value: amount}("");
        if (!accepted) revert WithdrawalRefused(msg.sender);
    }

    /// @dev Takes `amount` out of the earnings.
    function _takeEarned(Account storage account, address owner, uint256 amount) private returns (uint80 taken) {
        uint80 available = account.earned;
        if (available < amount) revert InsufficientEarnings(owner, available, amount);
        // forge-lint: disable-next-line(unsafe-typecast) at most `available`
        taken = uint80(amount);
        account.earned = available - taken;
    }

    /// @dev Takes `amount` out of the locked money.
    function _takeHeld(Account storage account, address owner, uint256 amount) private returns (uint80 taken) {
        uint80 held = account.held;
        if (held < amount) revert InsufficientLocked(owner, held, amount);
        // forge-lint: disable-next-line(unsafe-typecast) at most `held`
        taken = uint80(amount);
        account.held = held - taken;
    }

    /// @dev Money that comes in, if the account has room for it.
    function _fitting(address owner, Account storage account, uint256 amount) private view returns (uint80) {
        uint256 total = _total(account) + amount;
        if (total > type(uint80).max) revert AccountFull(owner, total);
        // forge-lint: disable-next-line(unsafe-typecast) below `total`
        return uint80(amount);
    }

    function _total(Account storage account) private view returns (uint256) {
        return uint256(account.free) + account.earned + account.held;
    }
}
