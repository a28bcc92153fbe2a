// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsumer} from "../../src/interfaces/IConsumer.sol";
import {IOracleConsumer} from "../../src/interfaces/IOracle.sol";
import {Status} from "../../src/types/Claim.sol";
import {ClaimId, ModelId} from "../../src/types/Ids.sol";
import {Progress, Request} from "../../src/types/Request.sol";
import {Timestamp} from "../../src/types/Time.sol";
import {Insiders} from "./Insiders.sol";

/// @dev Every entry point of requests that wait for finality.
abstract contract Customers is Insiders, IConsumer, IOracleConsumer {
    uint256 private constant NEWEST = 24;

    /// @dev `paid`: of its fee, to anybody. `isOver`: nothing of it is owed any more.
    struct Ask {
        Request request;
        bytes data;
        uint256 paid;
        bool isAgreed;
        bool isOver;
        uint8 settled;
    }

    struct Noted {
        bytes32 requestId;
        uint256 filed;
    }

    Ask[] internal asks;
    mapping(bytes32 requestId => uint256 indexPlusOne) internal askOf;
    bytes32[] internal committees;
    Noted[] private _noted;
    mapping(bytes32 requestId => mapping(uint256 filedIndex => bool noted)) private _isNoted;
    uint256 private _publications;
    /// @dev Whether the consumer, which this is, fails.
    bool internal isRefusing;

    error Refuses();

    function onInference(bytes32, bytes calldata, bytes calldata, bytes calldata) external view {
        if (isRefusing) revert Refuses();
    }

    function aiOracleCallback(uint256, bytes calldata, bytes calldata) external view {
        if (isRefusing) revert Refuses();
    }

    function requests_commit(uint256 seed) external acts {
        requests.commit(bytes32(mixed(seed)));
    }

    function requests_publish(uint256 seed) external acts {
        published(1_000 + _publications++, anyone(mixed(seed), 1));
    }

    function requests_request(uint256 seed) external acts {
        ask(mixed(seed), 0);
    }

    /// @dev `kind`: without a quorum, with a named committee, with a drawn one.
    function ask(uint256 seed, uint256 kind) internal returns (uint256 index) {
        Request memory asked = _termsOf(seed);
        if (kind != 0) {
            (asked.quorum, asked.commitBlocks) = (QUORUM, COMMIT_BLOCKS);
            (asked.prover, asked.proverUntil) = (address(0), Timestamp.wrap(0));
            if (kind == 1) {
                asked.committee = committees[pick(seed, 5, committees.length)];
                asked.quorum = uint8(provers.membersOf(asked.committee).length);
            }
        }
        asked.number = requests.requestCount();
        uint256 fee = FEE + pick(seed, 6, 5);
        if (oneIn(seed, 7, 30)) fee = 0;
        address requester = anyone(seed, 8);
        VM.deal(requester, fee);
        VM.prank(requester);
        requests.request{value: fee}(asked, oneIn(seed, 9, 2) ? BYTES : bytes(""), ALONG);
        (asked.requester, asked.fee) = (requester, uint128(fee));
        requestsIn += fee;
        return _keep(asked, ALONG);
    }

    function _termsOf(uint256 seed) private view returns (Request memory asked) {
        asked.modelId = models[oneIn(seed, 1, 3) ? 0 : 2];
        if (provers.seatCount(asked.modelId) < QUORUM) asked.modelId = models[0];
        asked.inputRoot = inputRoot;
        (asked.callback, asked.gasLimit) = (address(this), GAS);
        asked.until = Timestamp.wrap(uint40(time + 1 + pick(seed, 2, 5_000)));
        if (oneIn(seed, 3, 4)) {
            asked.prover = prover(pick(seed, 4, PROVERS_COUNT));
            asked.proverUntil = Timestamp.wrap(uint40(time + pick(seed, 5, 200)));
            if (asked.proverUntil > asked.until) asked.proverUntil = asked.until;
        }
    }

    function _keep(Request memory asked, bytes memory data) internal returns (uint256 index) {
        (asked.dataHash, asked.inputRoot) = (keccak256(data), inputRoot);
        (asked.author, asked.royalty) = requests.authors(asked.modelId);
        index = asks.length;
        Ask storage kept = asks.push();
        (kept.request, kept.data) = (asked, data);
        bytes32 requestId = requests.requestIdOf(asked);
        expect("the request is open", uint256(requests.progressOf(requestId)), uint256(Progress.Open));
        (askOf[requestId], madeAt[requestId]) = (index + 1, height);
        owed += asked.fee;
    }

    function requests_requestCallback(uint256 seed) external acts {
        seed = mixed(seed);
        Request memory asked;
        (asked.modelId, asked.callback, asked.gasLimit) = (models[oneIn(seed, 1, 2) ? 0 : 2], address(this), GAS);
        (asked.number, asked.requester, asked.fee) = (requests.requestCount(), anyone(seed, 2), FEE);
        asked.until = Timestamp.wrap(uint40(time + 1 days));
        VM.deal(asked.requester, FEE);
        VM.prank(asked.requester);
        requests.requestCallback{value: FEE}(asked.modelId, BYTES, address(this), GAS, ALONG);
        requestsIn += FEE;
        _keep(asked, ALONG);
    }

    function requests_cancel(uint256 seed) external acts {
        seed = mixed(seed);
        Request memory asked = asks[_open(seed)].request;
        VM.prank(asked.requester);
        requests.cancel(asked);
    }

    function requests_note(uint256 seed) external acts {
        (uint256 index, uint256 spot) = _answered(mixed(seed), false);
        Request memory asked = asks[index].request;
        requests.note(asked, claimAt(filed[spot]), inclusionOf(filed[spot]));
        bytes32 requestId = requests.requestIdOf(asked);
        if (_isNoted[requestId][spot]) return;
        _isNoted[requestId][spot] = true;
        _noted.push(Noted(requestId, spot));
    }

    /// @dev A noted claim that is invalid, or one that is disputed now and nobody defends.
    function requests_strike(uint256 seed) external acts {
        seed = mixed(seed);
        for (uint256 j = 0; j < _noted.length; ++j) {
            uint256 spot = (pick(seed, 1, _noted.length) + j) % _noted.length;
            if (!filed[_noted[spot].filed].isConvicted) continue;
            (bytes32 requestId, ClaimId claimId) = (_noted[spot].requestId, idAt(_noted[spot].filed));
            _noted[spot] = _noted[_noted.length - 1];
            _noted.pop();
            requests.strike(requestId, claimId);
            return;
        }
        (uint256 index, uint256 noted) = _answered(seed, true);
        Request memory asked = asks[index].request;
        requests.note(asked, claimAt(filed[noted]), inclusionOf(filed[noted]));
        lose(noted, seed);
        requests.strike(requests.requestIdOf(asked), idAt(noted));
    }

    /// @dev Shows a claim that answers; now and then one of a request that has ended.
    function requests_answer(uint256 seed) external acts {
        seed = mixed(seed);
        _answer(seed, oneIn(seed, 4, 3));
    }

    function _answer(uint256 seed, bool isRefused) private {
        (uint256 index, uint256 spot) = _answered(seed, false);
        Ask storage kept = asks[index];
        if (statusOf(filed[spot]) == Status.Posted && !oneIn(seed, 3, 12)) wait(WINDOW + 1);
        isRefusing = isRefused;
        bytes memory output = filed[spot].lies ? LIE : BYTES;
        requests.answer(kept.request, kept.data, claimAt(filed[spot]), inclusionOf(filed[spot]), output);
        expect("only a final claim answers", uint256(statusOf(filed[spot])), uint256(Status.Final));
        _pay(index, filed[spot].claimant, kept.request.fee);
        kept.isOver = true;
    }

    function requests_deliver(uint256 seed) external acts {
        seed = mixed(seed);
        isRefusing = oneIn(seed, 1, 4);
        if (_delivers(seed)) return;
        _answer(seed, true);
        isRefusing = false;
        if (!_delivers(seed)) revert NothingThere();
    }

    /// @dev Whether there was a callback to make again; now and then with other bytes than the answer's.
    function _delivers(uint256 seed) private returns (bool) {
        for (uint256 j = 0; j < asks.length && j < 2 * NEWEST; ++j) {
            Ask storage kept = asks[asks.length - 1 - j];
            if (!kept.isOver && !kept.isAgreed) continue;
            try requests.deliver(kept.request, kept.data, oneIn(seed, 3 + j, 20) ? LIE : BYTES) {
                return true;
            } catch {}
        }
        return false;
    }

    function requests_refund(uint256 seed) external acts {
        seed = mixed(seed);
        uint256 index = _open(seed);
        Ask storage kept = asks[index];
        uint256 over = Timestamp.unwrap(kept.request.until) + 2 * WINDOW;
        if (over >= time && !oneIn(seed, 2, 8)) wait(over + 1 - time);
        isRefusing = false;
        requests.refund(kept.request, kept.data);
        expect("a request is paid once", kept.paid, 0);
        kept.paid += kept.request.fee;
        kept.isOver = true;
        _earn(kept.request.requester, kept.request.fee);
        if (kept.request.requester == address(adapter)) refundsOwed += kept.request.fee;
    }

    function requests_withdraw(uint256 seed) external acts {
        seed = mixed(seed);
        for (uint256 j = 0; j < PROVERS_COUNT + 5; ++j) {
            address account = everyone()[(pick(seed, 1, PROVERS_COUNT + 5) + j) % (PROVERS_COUNT + 5)];
            if (earnedOf[account] == 0) continue;
            uint256 before = account.balance;
            VM.prank(account);
            requests.withdraw();
            expect("withdrawn", account.balance - before, earnedOf[account]);
            (requestsOut, earnedOf[account]) = (requestsOut + earnedOf[account], 0);
            return;
        }
        revert NothingThere();
    }

    function _earn(address account, uint256 amount) internal {
        earnedOf[account] += amount;
        owed -= amount;
    }

    /// @dev Books that a claimant is paid a part of a request's fee, or all of it.
    function _pay(uint256 index, address to, uint256 amount) internal {
        Ask storage kept = asks[index];
        uint256 royalty = amount * kept.request.royalty / 10_000;
        _earn(kept.request.author, royalty);
        _earn(to, amount - royalty);
        kept.paid += amount;
        expect("a request is paid once", kept.paid > kept.request.fee || kept.isOver ? 1 : 0, 0);
    }

    /// @dev An open request among the newest; now and then any.
    function _open(uint256 seed) internal view returns (uint256 index) {
        uint256 count = asks.length < NEWEST ? asks.length : NEWEST;
        for (uint256 j = 0; j < count; ++j) {
            index = asks.length - 1 - (pick(seed, 50, count) + j) % count;
            if (oneIn(seed, 51, 16) || (!asks[index].isOver && !asks[index].isAgreed)) return index;
        }
        revert NothingThere();
    }

    function wanted(uint256 seed) internal view override returns (bytes32 requestId, uint8 modelIndex) {
        uint256 count = asks.length < NEWEST ? asks.length : NEWEST;
        for (uint256 j = 0; j < count; ++j) {
            Ask storage kept = asks[asks.length - 1 - (pick(seed, 50, count) + j) % count];
            bool isLate = Timestamp.unwrap(kept.request.until) < time && !oneIn(seed, 56 + j, 12);
            if (kept.isOver || kept.isAgreed || isLate) continue;
            requestId = requests.requestIdOf(kept.request);
            return (requestId, ModelId.unwrap(kept.request.modelId) == ModelId.unwrap(models[0]) ? 0 : 2);
        }
        return (bytes32(seed), 0);
    }

    function _counts(Request storage asked, Filed storage one_) private view returns (bool) {
        (, Timestamp postedAt,,,) = chain.batches(one_.batchId);
        bool isFree = asked.prover == address(0) || asked.prover == one_.claimant || postedAt > asked.proverUntil;
        return isFree && !(postedAt > asked.until);
    }

    /// @dev A request and a claim that answers it, which can still be challenged if it is to be fresh; now and then any.
    function _answered(uint256 seed, bool isFresh) internal returns (uint256 index, uint256 spot) {
        if (asks.length == 0) ask(seed, 0);
        for (uint256 turn = 0; turn < 2; ++turn) {
            uint256 count = asks.length < 2 * NEWEST ? asks.length : 2 * NEWEST;
            for (uint256 j = 0; j < count; ++j) {
                index = asks.length - 1 - (pick(seed, 52, count) + j) % count;
                if ((asks[index].isOver || asks[index].isAgreed) && !oneIn(seed, 53 + j, 40)) continue;
                uint256[] storage known = answersTo[requests.requestIdOf(asks[index].request)];
                for (uint256 k = 0; k < known.length && k < 4; ++k) {
                    spot = known[(pick(seed, 54, known.length) + k) % known.length];
                    if (filed[spot].isConvicted || (isFresh && _isOver(filed[spot].batchId))) continue;
                    if (_counts(asks[index].request, filed[spot]) || oneIn(seed, 55 + k, 20)) return (index, spot);
                }
            }
            for (uint256 k = 0; k < 3; ++k) {
                post(mixedWith(seed, k));
            }
        }
        revert NothingThere();
    }
}
