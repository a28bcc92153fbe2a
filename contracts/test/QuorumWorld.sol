// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Provers} from "../src/Provers.sol";
import {Requests} from "../src/Requests.sol";
import {Claim, Inclusion} from "../src/types/Claim.sol";
import {Posting} from "./Groups.sol";
import {ClaimId, GameId, ModelId} from "../src/types/Ids.sol";
import {Level, Opening, Progress, Request} from "../src/types/Request.sol";
import {Timestamp} from "../src/types/Time.sol";
import {Consumer} from "./Consumers.sol";
import {World} from "./World.sol";

/// @dev Requests with a quorum of three about a small model, i8[4] -> i8[4], and six provers that can answer.
abstract contract QuorumWorld is World {
    uint128 internal constant FEE = 1 ether + 1;
    uint64 internal constant GAS = 300_000;
    uint32 internal constant PATIENCE = 500;
    uint16 internal constant COMMIT_BLOCKS = 20;
    uint8 internal constant QUORUM = 3;
    uint256 internal constant PROVERS_COUNT = 6;
    bytes internal constant BYTES = hex"01020304";
    bytes internal constant LIE = hex"05060708";
    bytes internal constant ALONG = "along";
    bytes32 internal constant SALT = "salt";

    Requests internal requests;
    Provers internal provers;
    Consumer internal consumer;
    ModelId internal small;
    /// @dev Of the provers, in ascending order of their addresses.
    uint256[] internal keys;
    bytes32 internal committee;
    /// @dev The block of each request.
    mapping(bytes32 requestId => uint256 number) internal madeAt;

    function setUp() public virtual override {
        super.setUp();
        requests = Requests(VM.deployCode("artifacts/Requests.json", abi.encode(chain)));
        provers = requests.PROVERS();
        consumer = new Consumer();
        small = chain.registerModel(smallHeader(), abi.encodePacked(bytes32(uint256(5))));
        for (uint256 j = 0; j < PROVERS_COUNT; ++j) {
            insert(0x9000 + j);
            deposit(VM.addr(0x9000 + j), 100_000 ether);
        }
        committee = provers.nameCommittee(first(QUORUM));
        VM.deal(address(this), 1_000_000 ether);
        VM.fee(1 gwei);
    }

    receive() external payable virtual {}

    function insert(uint256 key) private {
        keys.push(key);
        for (uint256 j = keys.length - 1; j > 0 && VM.addr(keys[j]) < VM.addr(keys[j - 1]); --j) {
            (keys[j], keys[j - 1]) = (keys[j - 1], keys[j]);
        }
    }

    function smallHeader() internal pure returns (bytes memory) {
        bytes memory inputs = abi.encodePacked(hex"01", hex"000001", uint32(4));
        bytes memory outputs = abi.encodePacked(hex"01", uint32(1), hex"000001", uint32(4));
        return abi.encodePacked(uint16(2), uint8(0), uint8(1), uint8(0), uint32(2), inputs, outputs);
    }

    function root(bytes memory data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(hex"00", data, new bytes(1020)));
    }

    function prover(uint256 j) internal view returns (address) {
        return VM.addr(keys[j]);
    }

    function keyOf(address wanted) internal view returns (uint256) {
        for (uint256 j = 0; j < keys.length; ++j) {
            if (prover(j) == wanted) return keys[j];
        }
        revert("no such prover");
    }

    function first(uint256 count) internal view returns (address[] memory members) {
        members = new address[](count);
        for (uint256 j = 0; j < count; ++j) {
            members[j] = prover(j);
        }
    }

    /// @dev For the named committee.
    function terms() internal view returns (Request memory asked) {
        (asked.modelId, asked.callback, asked.gasLimit) = (small, address(consumer), GAS);
        asked.until = Timestamp.wrap(uint40(time + PATIENCE));
        (asked.quorum, asked.commitBlocks, asked.committee) = (QUORUM, COMMIT_BLOCKS, committee);
    }

    function drawnTerms() internal view returns (Request memory asked) {
        asked = terms();
        asked.committee = 0;
    }

    function completed(Request memory asked, address requester) internal view returns (Request memory) {
        (asked.requester, asked.fee, asked.dataHash, asked.inputRoot) = (requester, FEE, keccak256(ALONG), root(BYTES));
        (asked.author, asked.royalty) = requests.authors(small);
        return asked;
    }

    function ask(Request memory asked) internal returns (bytes32 requestId, Request memory) {
        asked.number = requests.requestCount();
        requestId = requests.request{value: FEE}(asked, BYTES, ALONG);
        madeAt[requestId] = height;
        return (requestId, completed(asked, address(this)));
    }

    /// @dev Gives each prover a seat for the small model and `spare` free shares.
    function seat(uint256 count, uint256 spare) internal {
        for (uint256 j = 0; j < count; ++j) {
            uint256 amount = provers.SHARE() * (spare + 1);
            VM.deal(prover(j), amount);
            VM.prank(prover(j));
            provers.stake{value: amount}();
            VM.prank(prover(j));
            provers.join(small);
        }
    }

    /// @dev A block's header with this randomness, as RLP.
    function headerOf(bytes32 randomness) internal view returns (bytes memory) {
        bytes memory content = abi.encodePacked(
            word("parent"),
            word("ommers"),
            hex"94",
            bytes20(address(this)),
            word("state"),
            word("transactions"),
            word("receipts"),
            hex"b90100",
            new bytes(256)
        );
        content = abi.encodePacked(
            content,
            hex"80",
            hex"83",
            uint24(height),
            hex"84",
            uint32(30_000_000),
            hex"80",
            hex"84",
            uint32(time),
            hex"05",
            hex"a0",
            randomness,
            hex"88",
            uint64(0),
            hex"07"
        );
        return abi.encodePacked(hex"f9", uint16(content.length), content);
    }

    function word(bytes32 value) private pure returns (bytes memory) {
        return abi.encodePacked(hex"a0", value);
    }

    /// @dev Lets the blocks pass, and draws.
    function draw(Request memory asked, bytes32 requestId, bytes32 randomness)
        internal
        returns (address[] memory members)
    {
        height = madeAt[requestId] + 1;
        nextBlock();
        bytes memory header = headerOf(randomness);
        nextBlock();
        VM.setBlockhash(height - 1, keccak256(header));
        requests.draw(asked, header);
        return provers.membersOf(requests.roundOf(requestId).committee);
    }

    function claimOf(uint256 key, bytes32 requestId, bytes memory output) internal returns (Claim memory claim) {
        (claim.modelId, claim.claimant, claim.nonce) = (small, VM.addr(key), nextNonce++);
        (claim.validUntil, claim.requestId) = (uint64(time + 1_000), requestId);
        (claim.inputRoot, claim.outputRoot, claim.traceRoot) = (root(BYTES), root(output), bytes32(uint256(1)));
    }

    function postingOf(uint256 key, Claim memory claim, bytes memory output) internal view returns (Posting memory) {
        bytes memory signature = signed(key, ClaimId.unwrap(chain.claimIdOf(claim)));
        return Posting(claim, signature, BYTES, output);
    }

    function opening(Posting memory posting, bytes32 salt) internal pure returns (Opening memory) {
        return Opening(posting.claim, posting.signature, posting.input, posting.output, salt);
    }

    function nowhere() internal pure returns (Inclusion memory) {
        return Inclusion(type(uint256).max, 0, new bytes32[](0));
    }

    function commitmentOf(bytes32 requestId, Claim memory claim) internal view returns (bytes32) {
        return requests.commitmentOf(requestId, claim.claimant, chain.claimIdOf(claim), SALT);
    }

    /// @dev A prover commits to a claim with this output.
    function commit(Request memory asked, bytes32 requestId, uint256 key, bytes memory output)
        internal
        returns (Posting memory posting)
    {
        Claim memory claim = claimOf(key, requestId, output);
        posting = postingOf(key, claim, output);
        bytes32 commitment = commitmentOf(requestId, claim);
        VM.prank(VM.addr(key));
        requests.commitAnswer(asked, commitment);
    }

    function reveal(Request memory asked, Posting memory posting) internal returns (Posted memory posted) {
        posted.claim = posting.claim;
        posted.id = chain.claimIdOf(posting.claim);
        posted.inclusion = Inclusion(chain.batchCount(), 0, new bytes32[](0));
        requests.revealAnswer(asked, ALONG, opening(posting, SALT), nowhere());
    }

    /// @dev The named committee's three, who all answer this in the next block.
    function commitAll(Request memory asked, bytes32 requestId, bytes memory output)
        internal
        returns (Posting[3] memory postings)
    {
        address[] memory members =
            provers.membersOf(asked.committee != 0 ? asked.committee : requests.roundOf(requestId).committee);
        for (uint256 j = 0; j < 3; ++j) {
            postings[j] = commit(asked, requestId, keyOf(members[j]), output);
        }
        nextBlock();
    }

    function agree(Request memory asked, bytes32 requestId, bytes memory output)
        internal
        returns (Posted[3] memory posted)
    {
        Posting[3] memory postings = commitAll(asked, requestId, output);
        for (uint256 j = 0; j < 3; ++j) {
            posted[j] = reveal(asked, postings[j]);
        }
    }

    function settle(Request memory asked, Posted memory posted) internal {
        requests.settle(asked, posted.claim, posted.inclusion);
    }

    function convict(Posted memory posted) internal {
        GameId gameId = challenge(ALICE, posted);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        yes("convicted", isConvicted(posted.id));
    }

    function progress(bytes32 requestId, Progress expected) internal view {
        same("progress", uint256(requests.progressOf(requestId)), uint256(expected));
    }

    function level(bytes32 requestId, Level expected) internal view {
        same("level", uint256(requests.levelOf(requestId)), uint256(expected));
    }

    function refuses(bytes memory reason) internal {
        VM.expectRevert(reason);
    }
}
