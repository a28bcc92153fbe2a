// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bits} from "./libraries/Bits.sol";
import {Duration, Timestamp, currentTime} from "./types/Time.sol";

/// @title Nonces
/// @notice Which nonces a claimant has used or cancelled. A word of storage holds 256 of them, so that consecutive ones are cheap.
abstract contract Nonces {
    using Bits for mapping(uint256 word => uint256 bits);
    using Bits for uint256[];

    Duration private immutable CANCEL_DELAY;

    mapping(address claimant => mapping(uint256 word => uint256 bits)) private _used;
    /// @dev Of nonces that have their bit, those that can still be used until then.
    mapping(address claimant => mapping(uint256 nonce => Timestamp time)) private _cancelledFrom;

    /// @notice The claimant's nonce can't be used any more from `time` on.
    event NonceCancelled(address indexed claimant, uint256 nonce, Timestamp time);

    /// @notice The claimant has used or cancelled this nonce; sign with another.
    error NonceUsed(address claimant, uint256 nonce);

    /// @param cancelDelay from the cancellation of a nonce until it takes effect
    constructor(Duration cancelDelay) {
        CANCEL_DELAY = cancelDelay;
    }

    /// @notice Makes an unused nonce of the sender unusable, after as long as a withdrawal has to wait: what is being posted
    ///         with it can't be spoiled.
    function cancelNonce(uint256 nonce) external {
        if (_used[msg.sender].has(nonce)) revert NonceUsed(msg.sender, nonce);
        Timestamp time = currentTime().plus(CANCEL_DELAY);
        _used[msg.sender].add(nonce);
        _cancelledFrom[msg.sender][nonce] = time;
        emit NonceCancelled(msg.sender, nonce, time);
    }

    /// @notice Whether the claimant's nonce was used, or its cancellation has taken effect.
    function isNonceUsed(address claimant, uint256 nonce) public view returns (bool) {
        return _used[claimant].has(nonce) && !(_cancelledFrom[claimant][nonce] > currentTime());
    }

    /// @dev Which of `count` consecutive nonces can be used: bit j & 255 of word j >> 8 stands for `first + j`, which the caller
    ///      knows to be a nonce.
    function _usable(address claimant, uint256 first, uint256 count)
        internal
        view
        returns (uint256[] memory usable, uint256 total)
    {
        mapping(uint256 word => uint256 bits) storage used = _used[claimant];
        usable = new uint256[]((count + 255) >> 8);
        uint256 bits = used[first >> 8];
        unchecked {
            for (uint256 j = 0; j < count; ++j) {
                uint256 nonce = first + j;
                if (nonce & 255 == 0) bits = used[nonce >> 8];
                // What was cancelled has its bit, and can be used until the cancellation takes effect.
                if (bits & Bits.one(nonce) != 0 && isNonceUsed(claimant, nonce)) continue;
                usable[j >> 8] |= Bits.one(j);
                ++total;
            }
        }
    }

    /// @dev Uses those nonces that `_usable` found.
    function _use(address claimant, uint256 first, uint256 count, uint256[] memory usable) internal {
        mapping(uint256 word => uint256 bits) storage used = _used[claimant];
        uint256 bits = used[first >> 8];
        unchecked {
            for (uint256 j = 0; j < count; ++j) {
                uint256 nonce = first + j;
                uint256 bit = Bits.one(nonce);
                if (usable.has(j)) {
                    if (bits & bit != 0) _cancelledFrom[claimant][nonce] = Timestamp.wrap(0);
                    bits |= bit;
                }
                if (nonce & 255 == 255 || j == count - 1) {
                    used[nonce >> 8] = bits;
                    if (j != count - 1) bits = used[(nonce >> 8) + 1];
                }
            }
        }
    }
}
