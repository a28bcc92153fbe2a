// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {IConsumer} from "../src/interfaces/IConsumer.sol";
import {Claim, Inclusion} from "../src/types/Claim.sol";
import {Request, Subscription} from "../src/types/Request.sol";

/// @dev Remembers what it was told.
contract Consumer is IConsumer {
    bytes32 public requestId;
    bytes public output;
    bytes public failure;
    bytes public data;
    uint256 public calls;
    address public teller;
    uint256 public gasGiven;

    function onInference(bytes32 id, bytes calldata out, bytes calldata why, bytes calldata along) external virtual {
        gasGiven = gasleft();
        (requestId, output, failure, data, teller) = (id, out, why, along, msg.sender);
        calls += 1;
    }

    receive() external payable {}
}

/// @dev All ways in which a consumer may misbehave.
enum Malice {
    Reverts,
    BurnsGas,
    ReturnsMegabytes,
    RevertsMegabytes,
    Invalid,
    Destructs,
    AnswersAgain,
    DeliversAgain,
    Refunds,
    Cancels,
    Withdraws,
    AsksAgain,
    Renews,
    Notes,
    Unsubscribes
}

/// @dev A consumer that does so, until it is told to behave; what it tries when it comes back in must fail.
contract Hostile is Consumer {
    Malice private immutable MALICE;
    Requests private immutable REQUESTS;
    bool public behaves;
    bool public cameIn;
    bytes private _entry;

    constructor(Malice malice, Requests requests) {
        (MALICE, REQUESTS) = (malice, requests);
    }

    function behave() external {
        behaves = true;
    }

    /// @dev What it calls when it comes back in.
    function arm(bytes calldata entry) external {
        _entry = entry;
    }

    function ask(Request calldata asked, bytes calldata input, bytes calldata along)
        external
        payable
        returns (bytes32)
    {
        return REQUESTS.request{value: msg.value}(asked, input, along);
    }

    function subscribe(Subscription calldata subscription, uint32 times, bytes calldata input, bytes calldata along)
        external
        payable
        returns (bytes32)
    {
        return REQUESTS.subscribe{value: msg.value}(subscription, times, input, along);
    }

    function act(bytes calldata entry) external returns (bool success) {
        (success,) = address(REQUESTS).call(entry);
    }

    function onInference(bytes32 id, bytes calldata out, bytes calldata why, bytes calldata along) external override {
        if (!behaves) {
            if (MALICE == Malice.Reverts) revert("no");
            if (MALICE == Malice.BurnsGas) while (true) gasGiven += 1;
            if (MALICE == Malice.ReturnsMegabytes) assembly ("memory-safe") { return(0, 300000) }
            if (MALICE == Malice.RevertsMegabytes) assembly ("memory-safe") { revert(0, 300000) }
            if (MALICE == Malice.Invalid) assembly ("memory-safe") { invalid() }
            if (MALICE == Malice.Destructs) assembly ("memory-safe") { selfdestruct(0) }
        }
        if (_entry.length != 0) {
            (cameIn,) = address(REQUESTS).call(_entry);
        }
        (requestId, output, failure, data, teller) = (id, out, why, along, msg.sender);
        calls += 1;
    }
}
