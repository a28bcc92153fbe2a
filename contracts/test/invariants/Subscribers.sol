// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ModelId} from "../../src/types/Ids.sol";
import {Request, Subscription} from "../../src/types/Request.sol";
import {Duration, Timestamp} from "../../src/types/Time.sol";
import {Customers} from "./Customers.sol";

/// @dev Every entry point of subscriptions, and of requests in the oracle's shape.
abstract contract Subscribers is Customers {
    Subscription[] private _plans;

    function adapter_requestCallback(uint256 seed) external acts {
        seed = mixed(seed);
        Request memory asked;
        (asked.number, asked.requester, asked.fee) = (requests.requestCount(), address(adapter), FEE);
        (asked.modelId, asked.callback) = (models[oneIn(seed, 1, 2) ? 0 : 2], address(adapter));
        asked.gasLimit = 200_000 + uint64(200_000) / 63 + 40_000;
        asked.until = Timestamp.wrap(uint40(time + 1 days));
        VM.deal(address(this), FEE);
        adapter.requestCallback{value: FEE}(
            uint256(ModelId.unwrap(asked.modelId)), BYTES, address(this), 200_000, "prompt"
        );
        requestsIn += FEE;
        _keep(asked, abi.encode(FEE, address(this), bytes("prompt")));
    }

    function adapter_withdrawFor(uint256) external acts {
        uint256 amount = adapter.refunds(address(this));
        if (amount == 0) revert NothingThere();
        if (address(adapter).balance < amount) {
            (requestsOut, earnedOf[address(adapter)]) = (requestsOut + earnedOf[address(adapter)], 0);
        }
        uint256 before = address(this).balance;
        adapter.withdrawFor(address(this));
        expect("refunded", address(this).balance - before, amount);
        refundsOwed -= amount;
    }

    function requests_subscribe(uint256 seed) external acts {
        seed = mixed(seed);
        Subscription memory plan;
        (plan.first.modelId, plan.first.callback) = (models[oneIn(seed, 1, 2) ? 0 : 2], address(this));
        (plan.first.fee, plan.number) = (FEE, requests.subscriptionCount());
        (plan.interval, plan.patience) = (Duration.wrap(uint32(pick(seed, 2, 90))), Duration.wrap(3_000));
        uint32 times = uint32(1 + pick(seed, 3, 6));
        address requester = anyone(seed, 4);
        VM.deal(requester, uint256(FEE) * times);
        VM.prank(requester);
        requests.subscribe{value: uint256(FEE) * times}(plan, times, BYTES, ALONG);
        (requestsIn, owed) = (requestsIn + uint256(FEE) * times, owed + uint256(FEE) * times);
        (plan.first.requester, plan.first.dataHash, plan.first.inputRoot) = (requester, keccak256(ALONG), inputRoot);
        (plan.first.author, plan.first.royalty) = requests.authors(plan.first.modelId);
        _plans.push(plan);
    }

    function requests_renew(uint256 seed) external acts {
        seed = mixed(seed);
        Subscription memory plan = _plan(seed);
        (Timestamp due,) = requests.budgetOf(requests.subscriptionIdOf(plan));
        if (Timestamp.unwrap(due) > time && !oneIn(seed, 2, 8)) wait(Timestamp.unwrap(due) - time);
        uint256 number = requests.requestCount();
        requests.renew(plan, ALONG);
        Request memory asked = plan.first;
        asked.number = number;
        (asked.proverUntil, asked.until) = (Timestamp.wrap(uint40(time)), Timestamp.wrap(uint40(time + 3_000)));
        owed -= FEE;
        _keep(asked, ALONG);
    }

    function requests_unsubscribe(uint256 seed) external acts {
        Subscription memory plan = _plan(mixed(seed));
        (, uint32 left) = requests.budgetOf(requests.subscriptionIdOf(plan));
        VM.prank(plan.first.requester);
        requests.unsubscribe(plan);
        _earn(plan.first.requester, uint256(FEE) * left);
    }

    /// @dev A subscription with a budget, the first from some place on; now and then any.
    function _plan(uint256 seed) private view returns (Subscription memory plan) {
        for (uint256 j = 0; j < _plans.length; ++j) {
            plan = _plans[(pick(seed, 1, _plans.length) + j) % _plans.length];
            (, uint32 left) = requests.budgetOf(requests.subscriptionIdOf(plan));
            if (left != 0 || oneIn(seed, 3, 12)) return plan;
        }
        revert NothingThere();
    }
}
