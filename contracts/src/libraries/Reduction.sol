// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Monoids, NO_DIMENSION} from "../generated/Opcodes.sol";
import {Arithmetic} from "./Arithmetic.sol";
import {Kernels} from "./Kernels.sol";
import {Access, Dimension} from "./Op.sol";
import {Evaluation, Operands} from "./Operands.sol";

/// @notice A reduction under way.
/// @param from @param to the part of the box that counts, by dimension
/// @param lengths of the box dimensions that the factors' `steps` are about, once they are merged
/// @param best of the monoids with an order: the largest element so far (of the negated ones for a minimum)
/// @param bestAt its box position
struct State {
    int256[] from;
    int256[] to;
    int256[] lengths;
    int256 sum;
    int256 best;
    uint256 bestAt;
}

/// @title Reduction
/// @notice The monoid over the box.
/// @dev Nearly always all factors are linear over the box once its margins, where a factor reads its fill, are cut off. Then
///      the kernels run along rows, as long as adjacent box dimensions can be merged. Anything else goes element by element.
// Casts keep low bits on purpose: packed fields, wrapped numbers, two's complement steps.
// forge-lint: disable-next-item(incorrect-shift, unsafe-typecast)
library Reduction {
    /// @notice acc: the monoid over the box.
    function reduce(Evaluation memory self) internal pure returns (int256) {
        unchecked {
            uint256[] memory box = self.op.box;
            self.k = new uint256[](box.length);
            uint256 factors = self.op.factors;
            if (factors == 0) return 0;
            State memory state =
                State(new int256[](box.length), new int256[](box.length), new int256[](0), 0, type(int256).min, 0);
            for (uint256 v = 0; v < box.length; ++v) {
                state.to[v] = int256(box[v]);
            }
            Access[] memory accesses = self.op.accesses;
            bool linear = true;
            for (uint256 j = 0; j < factors; ++j) {
                linear = linear && _fixedIndex(self, accesses[j]);
            }
            if (linear) {
                bool some = true;
                for (uint256 j = 0; j < factors; ++j) {
                    some = _trim(self, state, accesses[j]) && some;
                }
                // Everything is fill: nothing to add, and for a maximum or minimum the fill was taken in.
                if (!some) return _result(self, state);
                for (uint256 j = 0; j < factors; ++j) {
                    linear = linear && _line(self, state, accesses[j]);
                }
            }
            if (linear) _rows(self, state);
            else _elements(self, state);
            return _result(self, state);
        }
    }

    function _result(Evaluation memory self, State memory state) private pure returns (int256) {
        unchecked {
            uint256 monoid = self.op.monoid;
            if (monoid <= Monoids.SUM) return Arithmetic.wrap(state.sum);
            if (monoid == Monoids.MAX) return state.best;
            if (monoid == Monoids.MIN) return -state.best;
            return int256(state.bestAt);
        }
    }

    /// @dev Whether the access has no index, or one that is the same all over the box.
    function _fixedIndex(Evaluation memory self, Access memory access) private pure returns (bool) {
        unchecked {
            for (uint256 n = Operands.indices(self, access); n != 0; --n) {
                access = self.op.accesses[access.index];
                if (access.terms.length != 0) return false;
            }
            return true;
        }
    }

    /// @dev Starts of the dimensions, the index put in, and what the terms over the box are: `moves` of them, the last
    ///      one of box dimension `variable` and coefficient `slope`.
    function _start(Evaluation memory self, Access memory access) private pure {
        unchecked {
            Dimension[] memory dimensions = access.dimensions;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                Dimension memory dimension = dimensions[d];
                dimension.coordinate = dimension.start;
                dimension.moves = 0;
                dimension.slope = 0;
            }
            if (access.indirect != NO_DIMENSION) {
                dimensions[access.indirect].coordinate += Operands.added(self, access);
            }
            int256[] memory terms = access.terms;
            for (uint256 j = 0; j < terms.length; ++j) {
                int256 packed = terms[j];
                Dimension memory dimension = dimensions[uint8(uint256(packed))];
                ++dimension.moves;
                dimension.slope = packed >> 16;
                dimension.variable = uint8(uint256(packed) >> 8);
            }
        }
    }

    /// @dev Cuts the margins of the box in which the access reads its fill and that leaves the result as it is: zeros under
    ///      a sum; under a maximum or minimum of one factor the fill is taken in once. False if nothing of the box is left.
    function _trim(Evaluation memory self, State memory state, Access memory access) private pure returns (bool some) {
        unchecked {
            some = true;
            _start(self, access);
            uint256 monoid = self.op.monoid;
            bool extreme = (monoid == Monoids.MAX || monoid == Monoids.MIN) && self.op.factors == 1;
            if (!extreme && (monoid != Monoids.SUM || access.fill != 0)) return true;
            bool cut = false;
            Dimension[] memory dimensions = access.dimensions;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                Dimension memory dimension = dimensions[d];
                if (dimension.moves > 1) continue;
                if (dimension.slope == 0) {
                    if (dimension.coordinate < 0 || dimension.coordinate >= dimension.size) some = false;
                    continue;
                }
                uint256 v = dimension.variable;
                (int256 enters, int256 leaves) =
                    Arithmetic.inside(dimension.coordinate, dimension.slope, dimension.size);
                if (enters > state.from[v]) {
                    state.from[v] = enters;
                    cut = true;
                }
                if (leaves < state.to[v]) {
                    state.to[v] = leaves;
                    cut = true;
                }
                if (state.from[v] >= state.to[v]) some = false;
            }
            if (extreme && (cut || !some)) _take(self, state, access.fill, 0);
        }
    }

    /// @dev Sets a factor's `element` and `steps`; false if it is not linear over what is left of the box, or leaves its
    ///      operand there.
    function _line(Evaluation memory self, State memory state, Access memory access) private pure returns (bool) {
        unchecked {
            _start(self, access);
            Dimension[] memory dimensions = access.dimensions;
            int256[] memory steps = new int256[](state.from.length);
            access.steps = steps;
            int256 element = 0;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                Dimension memory dimension = dimensions[d];
                element += dimension.coordinate * dimension.stride;
                dimension.high = dimension.coordinate;
                // A value that changes over the box is not one tensor.
                if (d == 0 && access.stack != 0 && dimension.moves != 0) return false;
            }
            int256[] memory terms = access.terms;
            for (uint256 j = 0; j < terms.length; ++j) {
                int256 packed = terms[j];
                Dimension memory dimension = dimensions[uint8(uint256(packed))];
                uint256 v = uint8(uint256(packed) >> 8);
                packed >>= 16;
                steps[v] += packed * dimension.stride;
                int256 first = packed * state.from[v];
                int256 last = packed * (state.to[v] - 1);
                element += first * dimension.stride;
                dimension.coordinate += packed < 0 ? last : first;
                dimension.high += packed < 0 ? first : last;
            }
            access.element = element;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                if (dimensions[d].coordinate < 0 || dimensions[d].high >= dimensions[d].size) return false;
            }
            return true;
        }
    }

    /// @dev Merges adjacent box dimensions along which all factors go on evenly; dimension 0 is the innermost from here on.
    function _merge(Evaluation memory self, State memory state) private pure returns (uint256 rank) {
        unchecked {
            Access[] memory accesses = self.op.accesses;
            uint256 factors = self.op.factors;
            uint256 count = state.from.length;
            int256[] memory lengths = new int256[](count + 1);
            int256[][] memory merged = new int256[][](factors);
            for (uint256 j = 0; j < factors; ++j) {
                merged[j] = new int256[](count + 1);
            }
            lengths[0] = 1;
            for (uint256 v = count; v != 0;) {
                --v;
                int256 length = state.to[v] - state.from[v];
                if (length == 1) continue;
                bool even = rank != 0;
                for (uint256 j = 0; even && j < factors; ++j) {
                    even = accesses[j].steps[v] == merged[j][rank - 1] * lengths[rank - 1];
                }
                if (even) {
                    lengths[rank - 1] *= length;
                    continue;
                }
                lengths[rank] = length;
                for (uint256 j = 0; j < factors; ++j) {
                    merged[j][rank] = accesses[j].steps[v];
                }
                ++rank;
            }
            for (uint256 j = 0; j < factors; ++j) {
                accesses[j].steps = merged[j];
            }
            state.lengths = lengths;
        }
    }

    /// @dev The box row by row; all factors are linear over it.
    function _rows(Evaluation memory self, State memory state) private pure {
        unchecked {
            uint256 rank = _merge(self, state);
            Access[] memory accesses = self.op.accesses;
            uint256 factors = self.op.factors;
            int256[] memory lengths = state.lengths;
            int256[] memory turns = new int256[](lengths.length);
            uint256 position = 0;
            while (true) {
                _row(self, state, position);
                position += uint256(lengths[0]);
                uint256 v = 1;
                for (; v < rank; ++v) {
                    bool turned = ++turns[v] == lengths[v];
                    int256 back = turned ? lengths[v] - 1 : int256(-1);
                    for (uint256 j = 0; j < factors; ++j) {
                        accesses[j].element -= accesses[j].steps[v] * back;
                    }
                    if (!turned) break;
                    turns[v] = 0;
                }
                if (v >= rank) return;
            }
        }
    }

    /// @dev One row: the innermost merged dimension, in one piece if all its leaves have to be there, else by elements.
    function _row(Evaluation memory self, State memory state, uint256 position) private pure {
        unchecked {
            Access memory x = self.op.accesses[0];
            bool two = self.op.factors == 2;
            Access memory y = two ? self.op.accesses[1] : x;
            bool sums = self.op.monoid <= Monoids.SUM;
            int256 count = state.lengths[0];
            int256 length = _dense(x) && _dense(y) && (sums || !two) ? count : int256(1);
            for (int256 k = 0; k < count; k += length) {
                uint256 a = _reach(self, x, k, length);
                uint256 xStep = uint256(x.steps[0]) << x.shift;
                if (two) {
                    uint256 b = _reach(self, y, k, length);
                    if (sums) {
                        uint256 yStep = uint256(y.steps[0]) << y.shift;
                        state.sum += Kernels.dot(a, xStep, x.shift, b, yStep, y.shift, uint256(length));
                    } else {
                        int256 product = Arithmetic.wrap(Kernels.read(a, x.shift) * Kernels.read(b, y.shift));
                        _take(self, state, product, position + uint256(k));
                    }
                } else if (sums) {
                    state.sum += Kernels.total(a, xStep, x.shift, uint256(length));
                } else {
                    (int256 best, uint256 index) = Kernels.largest(a, xStep, x.shift, uint256(length), _sign(self));
                    if (best > state.best) {
                        state.best = best;
                        state.bestAt = position + uint256(k) + index;
                    }
                }
            }
        }
    }

    /// @dev Whether the leaves from a row's first element to its last have all to be read.
    function _dense(Access memory access) private pure returns (bool) {
        unchecked {
            int256 step = access.steps[0];
            return (step < 0 ? -step : step) <= int256(1024 >> access.shift);
        }
    }

    /// @dev Calldata offset of step k of the row; the `length` elements from it on, which are dense or one, count as read.
    function _reach(Evaluation memory self, Access memory access, int256 k, int256 length)
        private
        pure
        returns (uint256)
    {
        unchecked {
            int256 first = access.element + access.steps[0] * k;
            int256 last = first + access.steps[0] * (length - 1);
            if (first <= last) return Operands.reach(self, access, first, last);
            return Operands.reach(self, access, last, first) + (uint256(first - last) << access.shift);
        }
    }

    /// @dev The box element by element, as the reference goes.
    function _elements(Evaluation memory self, State memory state) private pure {
        unchecked {
            uint256[] memory box = self.op.box;
            uint256[] memory k = self.k;
            uint256 position = 0;
            while (true) {
                int256 element = Operands.term(self);
                if (self.op.monoid <= Monoids.SUM) state.sum += element;
                else _take(self, state, element, position);
                ++position;
                uint256 v = box.length;
                while (v != 0 && ++k[v - 1] == box[v - 1]) {
                    --v;
                    k[v] = 0;
                }
                if (v == 0) return;
            }
        }
    }

    /// @dev Takes one element into a monoid with an order.
    function _take(Evaluation memory self, State memory state, int256 element, uint256 position) private pure {
        unchecked {
            element *= _sign(self);
            if (element > state.best) {
                state.best = element;
                state.bestAt = position;
            }
        }
    }

    /// @dev -1 for the minima: the smallest element is the largest negated one.
    function _sign(Evaluation memory self) private pure returns (int256) {
        return self.op.monoid == Monoids.MIN || self.op.monoid == Monoids.ARGMIN ? -1 : int256(1);
    }
}
