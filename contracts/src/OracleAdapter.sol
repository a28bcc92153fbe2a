// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "./Requests.sol";
import {IConsumer} from "./interfaces/IConsumer.sol";
import {IOracle, IOracleConsumer} from "./interfaces/IOracle.sol";
import {ModelId} from "./types/Ids.sol";

/// @title OracleAdapter
/// @notice Requests in the shape that existing oracle consumers are written for: such a consumer compiles unchanged and names this
///         contract as its oracle. It is called back after finality only, and never about a request that nobody answered: that
///         interface has no word for it, so the fee waits here for who asked (`withdrawFor`), who must be able to take money.
contract OracleAdapter is IOracle, IConsumer {
    /// @dev Gas that this contract takes around a consumer's callback. It is enough to copy some ten kilobytes of output and data;
    ///      what is longer is copied at the cost of the consumer's gas limit.
    uint64 private constant AROUND = 40_000;

    /// @notice Where the requests are made.
    Requests public immutable REQUESTS;

    /// @notice Who asked here for a request. Others may name this contract in requests of their own: it knows nothing of them.
    mapping(uint256 requestId => address asker) public askers;
    /// @notice Fees of requests that nobody answered, by the contract that asked.
    mapping(address asker => uint256 amount) public refunds;

    /// @notice Only the Requests contract may call this.
    error NotRequests(address caller);
    /// @notice The request was not made here.
    error NotAskedHere(uint256 requestId);
    /// @notice There is nothing to pay out to this account.
    error NothingToRefund(address asker);
    /// @notice The account does not take money.
    error RefundRefused(address asker);

    constructor(Requests requests) {
        REQUESTS = requests;
    }

    /// @dev Takes what `Requests` pays back.
    receive() external payable {
        if (msg.sender != address(REQUESTS)) revert NotRequests(msg.sender);
    }

    /// @inheritdoc IOracle
    // slither-disable-next-line reentrancy-benign a request has no id before it is made, and making it calls no stranger
    function requestCallback(
        uint256 modelId,
        bytes calldata input,
        address callbackContract,
        uint64 gasLimit,
        bytes calldata callbackData
    ) external payable returns (uint256 requestId) {
        bytes memory data = abi.encode(msg.value, callbackContract, callbackData);
        ModelId model = ModelId.wrap(bytes32(modelId));
        requestId =
            uint256(REQUESTS.requestCallback{value: msg.value}(model, input, address(this), _gas(gasLimit), data));
        askers[requestId] = msg.sender;
    }

    /// @notice Told by `Requests`; hands an answer on, and reverts if the consumer does, so that it can be told again.
    // slither-disable-next-line reentrancy-benign,reentrancy-no-eth the refund is written before anybody else is called
    function onInference(bytes32 requestId, bytes calldata output, bytes calldata failure, bytes calldata data)
        external
    {
        if (msg.sender != address(REQUESTS)) revert NotRequests(msg.sender);
        address asker = askers[uint256(requestId)];
        if (asker == address(0)) revert NotAskedHere(uint256(requestId));
        if (failure.length != 0) {
            // Only the fee is read: what was handed along may be long.
            refunds[asker] += abi.decode(data, (uint256));
            return;
        }
        (, address consumer, bytes memory along) = abi.decode(data, (uint256, address, bytes));
        IOracleConsumer(consumer).aiOracleCallback(uint256(requestId), output, along);
    }

    /// @notice Pays the fees of unanswered requests back to who asked; anyone may.
    // slither-disable-next-line low-level-calls,arbitrary-send-eth,reentrancy-eth,reentrancy-benign to who paid it; its entry is empty before
    function withdrawFor(address asker) external {
        uint256 amount = refunds[asker];
        if (amount == 0) revert NothingToRefund(asker);
        refunds[asker] = 0;
        if (address(this).balance < amount) REQUESTS.withdraw();
        (bool accepted,) = asker.call{value: amount}("");
        if (!accepted) revert RefundRefused(asker);
    }

    /// @inheritdoc IOracle
    function estimateFee(uint256 modelId, uint256 gasLimit) external view returns (uint256) {
        // forge-lint: disable-next-line(unsafe-typecast) a larger one is refused when it is asked with
        uint64 gas = gasLimit > REQUESTS.MAX_CALLBACK_GAS() ? REQUESTS.MAX_CALLBACK_GAS() : uint64(gasLimit);
        return REQUESTS.estimateFee(ModelId.wrap(bytes32(modelId)), _gas(gas));
    }

    /// @inheritdoc IOracle
    function isFinalized(uint256 requestId) external view returns (bool) {
        return REQUESTS.isFinalized(bytes32(requestId));
    }

    function _gas(uint64 gasLimit) private pure returns (uint64) {
        return gasLimit + gasLimit / 63 + AROUND;
    }
}
