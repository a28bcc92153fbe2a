// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorums} from "../src/Quorums.sol";
import {Stakes} from "../src/Stakes.sol";
import {BlockHeader} from "../src/libraries/BlockHeader.sol";
import {Posting} from "./Groups.sol";
import {ModelId} from "../src/types/Ids.sol";
import {Level, Request} from "../src/types/Request.sol";
import {QuorumWorld} from "./QuorumWorld.sol";

contract Headers {
    function randomness(bytes calldata header) external pure returns (bytes32) {
        return BlockHeader.randomness(header);
    }
}

contract StakesTest is QuorumWorld {
    uint256 private constant SHARE = CLAIM_BOND;

    function stakeOf(address who) private view returns (uint256 free, uint256 held) {
        return provers.stakes(who);
    }

    function stakes(address who, uint256 free, uint256 held) private view {
        (uint256 freeNow, uint256 heldNow) = stakeOf(who);
        same("free", freeNow, free);
        same("held", heldNow, held);
    }

    function test_stake_goesIn_andComesOut() public {
        VM.deal(ALICE, 5 ether);
        VM.prank(ALICE);
        provers.stake{value: 5 ether}();
        stakes(ALICE, 5 ether, 0);
        refuses(abi.encodeWithSelector(Stakes.InsufficientStake.selector, ALICE, 5 ether, 5 ether + 1));
        VM.prank(ALICE);
        provers.unstake(5 ether + 1);
        VM.prank(ALICE);
        provers.unstake(2 ether);
        same("out", ALICE.balance, 2 ether);
        stakes(ALICE, 3 ether, 0);
        provers.stake{value: 1}();
        refuses(abi.encodeWithSelector(Stakes.UnstakingRefused.selector, address(requests)));
        VM.prank(address(requests));
        provers.unstake(0);
    }

    function test_join_holdsAShare_andLeavesWithDelay() public {
        refuses(abi.encodeWithSelector(Stakes.InsufficientStake.selector, prover(0), 0, SHARE));
        VM.prank(prover(0));
        provers.join(small);
        seat(1, 0);
        stakes(prover(0), 0, SHARE);
        same("seats", provers.seatCount(small), 1);
        VM.prank(prover(0));
        refuses(abi.encodeWithSelector(Stakes.HasSeat.selector, small, prover(0)));
        provers.join(small);
        VM.prank(prover(0));
        refuses(abi.encodeWithSelector(Stakes.SeatHeld.selector, small, prover(0), 0));
        provers.vacate(small);
        VM.prank(prover(0));
        provers.resign(small);
        same("seats", provers.seatCount(small), 0);
        uint256 due = height + provers.LEAVING_BLOCKS();
        VM.prank(prover(0));
        refuses(abi.encodeWithSelector(Stakes.NoSeat.selector, small, prover(0)));
        provers.resign(small);
        VM.prank(prover(0));
        refuses(abi.encodeWithSelector(Stakes.HasSeat.selector, small, prover(0)));
        provers.join(small);
        VM.roll(due);
        VM.prank(prover(0));
        refuses(abi.encodeWithSelector(Stakes.SeatHeld.selector, small, prover(0), due));
        provers.vacate(small);
        VM.roll(due + 1);
        VM.prank(prover(0));
        provers.vacate(small);
        stakes(prover(0), SHARE, 0);
        VM.prank(prover(0));
        refuses(abi.encodeWithSelector(Stakes.NoSeat.selector, small, prover(0)));
        provers.vacate(small);
        VM.prank(prover(0));
        provers.join(small);
        same("the place is used again", provers.placeCount(small), 1);
    }

    function test_join_unknownModel_reverts() public {
        ModelId unknown = ModelId.wrap(bytes32(uint256(9)));
        refuses(abi.encodeWithSelector(Stakes.NoSuchModel.selector, unknown));
        provers.join(unknown);
    }

    function test_shares_strangers_revert() public {
        seat(3, 1);
        bytes memory reason = abi.encodeWithSelector(Stakes.NotRequests.selector, address(this));
        refuses(reason);
        provers.hold(prover(0));
        refuses(reason);
        provers.release(prover(0));
        refuses(reason);
        provers.forfeit(prover(0));
        refuses(reason);
        provers.draw(small, 3, height, 3, 0);
    }

    function test_draw_threeOfSix_agree() public {
        seat(6, 1);
        (bytes32 requestId, Request memory asked) = ask(drawnTerms());
        refuses(abi.encodeWithSelector(Quorums.NotExpected.selector, requestId, prover(0)));
        VM.prank(prover(0));
        requests.commitAnswer(asked, bytes32(uint256(7)));
        address[] memory members = draw(asked, requestId, "random");
        uint256 pickedUp = height;
        yes("different", members[0] != members[1] && members[1] != members[2] && members[0] != members[2]);
        refuses(abi.encodeWithSelector(Quorums.AlreadyDrawn.selector, requestId));
        requests.draw(asked, headerOf("random"));
        nextBlock();
        Posted[3] memory posted = agree(asked, requestId, BYTES);
        same("blocks", height - pickedUp, 2);
        level(requestId, Level.Agreed);
        for (uint256 j = 0; j < 3; ++j) {
            stakes(members[j], 0, 2 * SHARE);
        }
        wait(WINDOW + 1);
        for (uint256 j = 0; j < 3; ++j) {
            settle(asked, posted[j]);
            stakes(members[j], SHARE, SHARE);
        }
        same("burned", provers.burned(), 0);
    }

    function test_draw_convicted_losesItsShare() public {
        seat(3, 2);
        (bytes32 requestId, Request memory asked) = ask(drawnTerms());
        draw(asked, requestId, "random");
        Posted[3] memory posted = agree(asked, requestId, LIE);
        address liar = posted[1].claim.claimant;
        convict(posted[1]);
        uint256 locked = chain.locked(liar);
        settle(asked, posted[1]);
        stakes(liar, SHARE, SHARE);
        same("burned", provers.burned(), SHARE);
        same("its bond is gone, too", locked, 0);
        same("back", requests.earned(address(this)), FEE / 3 + FEE % 3);
        VM.expectPartialRevert(Quorums.NothingToSettle.selector);
        settle(asked, posted[1]);
        same("held by Provers", address(provers).balance, 9 * SHARE);
    }

    /// @dev Being silent costs nothing: neither not committing nor not revealing.
    function test_draw_silent_losesNothing() public {
        seat(3, 1);
        (bytes32 requestId, Request memory asked) = ask(drawnTerms());
        draw(asked, requestId, "random");
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        Posted memory posted = reveal(asked, postings[0]);
        wait(WINDOW + 1);
        height += requests.REVEAL_BLOCKS();
        nextBlock();
        settle(asked, posted);
        for (uint256 j = 0; j < 3; ++j) {
            stakes(prover(j), SHARE, SHARE);
        }
    }

    function test_reveal_drawnWithoutFreeShare_reverts() public {
        seat(3, 0);
        (bytes32 requestId, Request memory asked) = ask(drawnTerms());
        draw(asked, requestId, "random");
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        refuses(abi.encodeWithSelector(Stakes.InsufficientStake.selector, postings[0].claim.claimant, 0, SHARE));
        requests.revealAnswer(asked, ALONG, opening(postings[0], SALT), nowhere());
    }

    /// @dev A named committee's members need no stake, and have none at risk.
    function test_reveal_named_holdsNoShare() public {
        seat(3, 1);
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posted[3] memory posted = agree(asked, requestId, LIE);
        stakes(prover(0), SHARE, SHARE);
        convict(posted[0]);
        settle(asked, posted[0]);
        stakes(prover(0), SHARE, SHARE);
        same("burned", provers.burned(), 0);
    }

    function test_draw_otherHeader_reverts() public {
        seat(3, 1);
        (bytes32 requestId, Request memory asked) = ask(drawnTerms());
        uint256 number = height + requests.DRAW_BLOCKS();
        nextBlock();
        nextBlock();
        bytes memory header = headerOf("random");
        refuses(abi.encodeWithSelector(Quorums.NotDrawable.selector, requestId, number));
        requests.draw(asked, header);
        nextBlock();
        VM.setBlockhash(number, keccak256(header));
        bytes memory other = headerOf("other");
        refuses(abi.encodeWithSelector(Quorums.WrongHeader.selector, number));
        requests.draw(asked, other);
        VM.setBlockhash(number - 1, keccak256(other));
        refuses(abi.encodeWithSelector(Quorums.WrongHeader.selector, number));
        requests.draw(asked, other);
        height = number + 256;
        nextBlock();
        refuses(abi.encodeWithSelector(Quorums.NotDrawable.selector, requestId, number));
        requests.draw(asked, header);
    }

    /// @dev Who takes a seat after the request, or gave it up before, is not drawn; who gives it up in a later block still is.
    function test_draw_seatsAreThoseOfTheRequest() public {
        seat(4, 1);
        VM.prank(prover(3));
        provers.resign(small);
        (bytes32 requestId, Request memory asked) = ask(drawnTerms());
        nextBlock();
        VM.deal(prover(4), SHARE);
        VM.prank(prover(4));
        provers.stake{value: SHARE}();
        VM.prank(prover(4));
        provers.join(small);
        VM.prank(prover(2));
        provers.resign(small);
        address[] memory members = draw(asked, requestId, "random");
        for (uint256 j = 0; j < 3; ++j) {
            bool isOld = members[j] == prover(0) || members[j] == prover(1) || members[j] == prover(2);
            yes("had a seat", isOld);
        }
        refuses(
            abi.encodeWithSelector(Stakes.SeatHeld.selector, small, prover(2), height - 2 + provers.LEAVING_BLOCKS())
        );
        VM.prank(prover(2));
        provers.vacate(small);
    }

    /// @dev Whatever is done to the seats once the randomness is known, the draw stays what it was.
    function testFuzz_draw_isFixedByTheRequest(uint256 actions, bytes32 randomness) public {
        seat(5, 2);
        // Long gone: it may take or leave its place again.
        VM.prank(prover(4));
        provers.resign(small);
        height += provers.LEAVING_BLOCKS();
        nextBlock();
        VM.deal(prover(5), 3 * SHARE);
        VM.prank(prover(5));
        provers.stake{value: 3 * SHARE}();
        (bytes32 requestId, Request memory asked) = ask(drawnTerms());
        nextBlock();
        nextBlock();
        bytes memory header = headerOf(randomness);
        uint256 number = height;
        nextBlock();
        VM.setBlockhash(number, keccak256(header));
        bytes32 expected = expectedOf(requestId, randomness);
        for (uint256 j = 0; j < 12; ++j) {
            act(actions >> (8 * j));
        }
        VM.setBlockhash(number, keccak256(header));
        requests.draw(asked, header);
        same("committee", requests.roundOf(requestId).committee, expected);
    }

    /// @dev The draw written again, over the seats as the test made them: places 0 to 4, of which the last was given up.
    function expectedOf(bytes32 requestId, bytes32 randomness) private view returns (bytes32) {
        bytes32 seed = keccak256(abi.encode(requestId, randomness));
        address[] memory members = new address[](3);
        uint256 found = 0;
        for (uint256 j = 0; found < 3; ++j) {
            uint256 place = uint256(keccak256(abi.encode(seed, j))) % 5;
            bool isNew = place != 4;
            for (uint256 k = 0; k < found; ++k) {
                isNew = isNew && members[k] != prover(place);
            }
            if (isNew) members[found++] = prover(place);
        }
        return keccak256(abi.encode(members));
    }

    function act(uint256 seed) private {
        address who = prover((seed >> 2) % PROVERS_COUNT);
        bytes memory message = abi.encodeCall(Stakes.join, (small));
        if (seed % 4 == 1) message = abi.encodeCall(Stakes.resign, (small));
        if (seed % 4 == 2) message = abi.encodeCall(Stakes.vacate, (small));
        VM.prank(who);
        (bool ignored,) = address(provers).call(message);
        // Draws are possible for 256 blocks: what follows stays inside them.
        if (ignored && seed % 4 == 3) nextBlock();
        if (seed % 32 == 31) {
            height += 15;
            nextBlock();
        }
    }

    /// @dev Every seat is drawn as often as any other: three of six, 1,200 times, each about 600.
    function test_draw_isFair() public {
        seat(6, 1);
        uint256[6] memory times;
        for (uint256 j = 0; j < 1_200; ++j) {
            VM.prank(address(requests));
            bytes32 drawn = provers.draw(small, 6, height, 3, bytes32(j));
            address[] memory members = provers.membersOf(drawn);
            for (uint256 k = 0; k < 3; ++k) {
                for (uint256 i = 0; i < 6; ++i) {
                    if (members[k] == prover(i)) times[i] += 1;
                }
            }
        }
        for (uint256 i = 0; i < 6; ++i) {
            // Five standard deviations of sqrt(1200 / 4) = 17.
            yes("fair", times[i] > 600 - 87 && times[i] < 600 + 87);
        }
    }

    function test_draw_tooFewSeats_reverts() public {
        seat(3, 0);
        VM.prank(prover(0));
        provers.resign(small);
        refuses(abi.encodeWithSelector(Stakes.TooFewSeats.selector, small, 2, 3));
        VM.prank(address(requests));
        provers.draw(small, 3, height, 3, "seed");
    }

    /// @dev The randomness is found behind numbers of every length.
    function testFuzz_header_anyLengths_randomnessIsFound(uint8[6] memory lengths, bytes32 randomness) public {
        Headers headers = new Headers();
        bytes memory content = new bytes(3 + 5 * 33 + 21 + 259);
        for (uint256 j = 0; j < 6; ++j) {
            uint256 length = lengths[j] % 33;
            if (length == 1) content = abi.encodePacked(content, hex"7f");
            else content = abi.encodePacked(content, uint8(0x80 + length), new bytes(length));
        }
        bytes memory header = abi.encodePacked(content, hex"a0", randomness, hex"8800");
        same("randomness", headers.randomness(header), randomness);
        refuses(abi.encodeWithSelector(BlockHeader.NotAHeader.selector));
        headers.randomness(content);
        header[content.length] = 0xa1;
        refuses(abi.encodeWithSelector(BlockHeader.NotAHeader.selector));
        headers.randomness(header);
        refuses(abi.encodeWithSelector(BlockHeader.NotAHeader.selector));
        headers.randomness("");
    }
}
