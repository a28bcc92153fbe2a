// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Monoids, NO_DIMENSION} from "../generated/Opcodes.sol";
import {Arithmetic} from "./Arithmetic.sol";
import {Kernels} from "./Kernels.sol";
import {Access, Dimension} from "./Op.sol";
import {Evaluation, Operands} from "./Operands.sol";
import {Partition, Parts} from "./Parts.sol";

/// @notice A reduction under way.
/// @param from @param to the part of the domain that counts, by dimension
/// @param lengths of the domain dimensions that the factors' `steps` are about, once they are merged
/// @param position of the row's first element in the domain, @param column of the piece's first element in the row
/// @param best of the monoids with an order: the largest element so far (of the negated ones for a minimum)
/// @param bestAt its domain position
struct State {
    int256[] from;
    int256[] to;
    int256[] lengths;
    uint256 position;
    int256 column;
    int256 sum;
    int256 best;
    uint256 bestAt;
}

/// @title Reduction
/// @notice The monoid over a part of the domain.
/// @dev Nearly always all factors are linear over the domain once its margins, where a factor reads its fill, are cut off. Then
///      rows go as far as adjacent domain dimensions can be merged. Otherwise a row is the last domain dimension, in at most five
///      pieces in which a factor either is linear or reads its fill. Only if an index or the selected value changes within
///      a row the row goes element by element.
// Casts keep low bits on purpose: packed fields, wrapped numbers, two's complement steps.
// forge-lint: disable-next-item(incorrect-shift, unsafe-typecast)
library Reduction {
    /// @notice The op's domain has `count` parts; there is no part `number`.
    error NoPart(uint256 number, uint256 count);

    /// @notice The accumulator: the monoid over the whole domain; for an argument its position.
    function whole(Evaluation memory self) internal pure returns (int256) {
        unchecked {
            if (self.op.factors == 0) return 0;
            uint256[] memory domain = self.op.domain;
            int256[] memory to = new int256[](domain.length);
            for (uint256 v = 0; v < domain.length; ++v) {
                to[v] = int256(domain[v]);
            }
            (int256 value, uint256 position) = _reduce(self, new int256[](domain.length), to, 0);
            return _isArgument(self) ? int256(position) : value;
        }
    }

    /// @notice What one part of the domain reduces to: for an argument its value and its position in the domain, else the value and 0.
    function part(Evaluation memory self, uint256 number) internal pure returns (int256 value, uint256 position) {
        Partition memory cut = Parts.cut(self.op.domain, self.op.part);
        if (number >= cut.count) revert NoPart(number, cut.count);
        (int256[] memory from, int256[] memory to, uint256 first) = Parts.ranges(cut, number);
        if (self.op.factors == 0) return (0, _isArgument(self) ? first : 0);
        return _reduce(self, from, to, first);
    }

    function _reduce(Evaluation memory self, int256[] memory from, int256[] memory to, uint256 position)
        private
        pure
        returns (int256, uint256)
    {
        unchecked {
            self.k = new uint256[](from.length);
            uint256 factors = self.op.factors;
            // slither-disable-next-line uninitialized-local set before it is read
            int256[] memory lengths;
            State memory state = State(from, to, lengths, position, 0, 0, type(int256).min, 0);
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
            if (linear) _merged(self, state);
            else _plain(self, state);
            return _result(self, state);
        }
    }

    /// @dev Whether the accumulator is a position.
    function _isArgument(Evaluation memory self) private pure returns (bool) {
        return self.op.monoid >= Monoids.ARGMAX;
    }

    function _result(Evaluation memory self, State memory state) private pure returns (int256, uint256) {
        unchecked {
            if (self.op.monoid <= Monoids.SUM) return (Arithmetic.wrap(state.sum), 0);
            return (state.best * _sign(self), _isArgument(self) ? state.bestAt : 0);
        }
    }

    /// @dev Whether the access has no index, or one that is the same all over the domain.
    function _fixedIndex(Evaluation memory self, Access memory access) private pure returns (bool) {
        unchecked {
            for (uint256 n = Operands.indices(self, access); n != 0; --n) {
                access = self.op.accesses[access.index];
                if (access.terms.length != 0) return false;
            }
            return true;
        }
    }

    /// @dev Starts of the dimensions, the index put in, and what the terms over the domain are: `moves` of them, the last
    ///      one of domain dimension `variable` and coefficient `slope`.
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

    /// @dev Cuts the margins of the domain in which the access reads its fill and that leaves the result as it is: zeros under
    ///      a sum; under a maximum or minimum of one factor the fill is taken in once. False if nothing of the domain is left.
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

    /// @dev Sets a factor's `element` and `steps`; false if it is not linear over what is left of the domain, or leaves its
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
            }
            Operands.select(access, 0);
            if (access.stack != 0) {
                // A value that changes over the domain is not one tensor.
                if (dimensions[0].moves != 0) return false;
                Operands.select(access, dimensions[0].coordinate);
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

    /// @dev Merges adjacent domain dimensions along which all factors go on evenly; dimension 0 is the innermost from here on.
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

    /// @dev The domain by merged rows; all factors are linear over it.
    function _merged(Evaluation memory self, State memory state) private pure {
        unchecked {
            uint256 rank = _merge(self, state);
            Access[] memory accesses = self.op.accesses;
            uint256 factors = self.op.factors;
            int256[] memory lengths = state.lengths;
            int256[] memory turns = new int256[](lengths.length);
            for (uint256 j = 0; j < factors; ++j) {
                accesses[j].leaves = lengths[0];
            }
            while (true) {
                _piece(self, state, lengths[0]);
                state.position += uint256(lengths[0]);
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

    /// @dev The domain row by row, whatever the factors are.
    function _plain(Evaluation memory self, State memory state) private pure {
        unchecked {
            int256[] memory from = state.from;
            int256[] memory to = state.to;
            uint256[] memory k = self.k;
            for (uint256 v = 0; v < from.length; ++v) {
                k[v] = uint256(from[v]);
            }
            // Without domain dimensions there is one row of one element; no term moves in it.
            uint256 last = from.length == 0 ? NO_DIMENSION : from.length - 1;
            int256 count = from.length == 0 ? int256(1) : to[last] - from[last];
            Access[][] memory chains = new Access[][](self.op.factors);
            bool even = true;
            for (uint256 j = 0; j < chains.length; ++j) {
                chains[j] = _chain(self, self.op.accesses[j]);
                for (uint256 n = 0; n < chains[j].length; ++n) {
                    even = _slope(chains[j][n], last, n == 0) && even;
                }
            }
            while (true) {
                if (even) _pieces(self, state, count);
                else _elements(self, state, chains, count);
                state.position += uint256(count);
                uint256 v = last;
                while (v != 0 && v != NO_DIMENSION && ++k[v - 1] == uint256(to[v - 1])) {
                    --v;
                    k[v] = uint256(from[v]);
                }
                if (v == 0 || v == NO_DIMENSION) return;
            }
        }
    }

    /// @dev The access, its index, that one's index, and so on.
    function _chain(Evaluation memory self, Access memory access) private pure returns (Access[] memory chain) {
        unchecked {
            chain = new Access[](Operands.indices(self, access) + 1);
            chain[0] = access;
            for (uint256 n = 1; n < chain.length; ++n) {
                access = self.op.accesses[access.index];
                chain[n] = access;
            }
        }
    }

    /// @dev Sets what the access's coordinates change by from one element of a row to the next. False if they, being those of
    ///      an index, move at all, or if the selected value does.
    function _slope(Access memory access, uint256 last, bool isFactor) private pure returns (bool even) {
        unchecked {
            even = true;
            Dimension[] memory dimensions = access.dimensions;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                dimensions[d].slope = 0;
            }
            int256[] memory terms = access.terms;
            for (uint256 j = 0; j < terms.length; ++j) {
                int256 packed = terms[j];
                if (uint8(uint256(packed) >> 8) != last) continue;
                uint256 d = uint8(uint256(packed));
                dimensions[d].slope += packed >> 16;
                if (!isFactor || (d == 0 && access.stack != 0)) even = false;
            }
            access.steps = new int256[](1);
        }
    }

    /// @dev Where the access stands at the row's first element, and for which elements of the row it lies inside; its indirect
    ///      dimension is left out.
    function _span(Evaluation memory self, Access memory access, int256 count) private pure {
        unchecked {
            Operands.place(self, access, 0);
            access.element = 0;
            access.steps[0] = 0;
            access.enters = 0;
            access.leaves = count;
            Dimension[] memory dimensions = access.dimensions;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                if (d != access.indirect) _extend(access, dimensions[d]);
            }
        }
    }

    /// @dev One more dimension for `_span`.
    function _extend(Access memory access, Dimension memory dimension) private pure {
        unchecked {
            int256 coordinate = dimension.coordinate;
            int256 slope = dimension.slope;
            access.element += coordinate * dimension.stride;
            if (slope == 0) {
                if (coordinate < 0 || coordinate >= dimension.size) access.leaves = 0;
                return;
            }
            access.steps[0] += slope * dimension.stride;
            (int256 enters, int256 leaves) = Arithmetic.inside(coordinate, slope, dimension.size);
            if (enters > access.enters) access.enters = enters;
            if (leaves < access.leaves) access.leaves = leaves;
        }
    }

    /// @dev A row whose indices and selected values stay: pieces between the places where a factor enters or leaves its operand.
    function _pieces(Evaluation memory self, State memory state, int256 count) private pure {
        unchecked {
            for (uint256 j = 0; j < self.op.factors; ++j) {
                Access memory access = self.op.accesses[j];
                int256 extra = Operands.added(self, access);
                _span(self, access, count);
                if (access.indirect == NO_DIMENSION) continue;
                Dimension memory dimension = access.dimensions[access.indirect];
                dimension.coordinate += extra;
                _extend(access, dimension);
                if (access.stack != 0) Operands.select(access, access.dimensions[0].coordinate);
            }
            Access memory x = self.op.accesses[0];
            Access memory y = self.op.factors == 2 ? self.op.accesses[1] : x;
            int256 column = 0;
            while (column < count) {
                int256 next = _changes(y, column, _changes(x, column, count));
                state.column = column;
                _piece(self, state, next - column);
                column = next;
            }
        }
    }

    /// @dev The first column behind `column`, but none behind `next`, from which on the access may be inside instead of outside
    ///      its dimensions, or the other way round.
    function _changes(Access memory access, int256 column, int256 next) private pure returns (int256) {
        if (access.enters > column && access.enters < next) return access.enters;
        return access.leaves > column && access.leaves < next ? access.leaves : next;
    }

    /// @dev Whether the access is inside its dimensions at a column of the row.
    function _inside(Access memory access, int256 column) private pure returns (bool) {
        return column >= access.enters && column < access.leaves;
    }

    /// @dev `count` elements of a row, from `state.column` on, all over which a factor is linear or reads its fill.
    function _piece(Evaluation memory self, State memory state, int256 count) private pure {
        unchecked {
            Access memory x = self.op.accesses[0];
            int256 column = state.column;
            bool xInside = _inside(x, column);
            bool sums = self.op.monoid <= Monoids.SUM;
            if (self.op.factors == 2) {
                Access memory y = self.op.accesses[1];
                bool yInside = _inside(y, column);
                if (!sums) {
                    _products(self, state, xInside, yInside, count);
                } else if (xInside && yInside) {
                    state.sum += _dot(self, x, y, column, count);
                } else if (_settled(self, x, xInside) || _settled(self, y, yInside)) {
                    return;
                } else if (xInside) {
                    state.sum += _total(self, x, column, count) * y.fill;
                } else if (yInside) {
                    state.sum += _total(self, y, column, count) * x.fill;
                } else {
                    state.sum += x.fill * y.fill * count;
                }
            } else if (sums) {
                state.sum += xInside ? _total(self, x, column, count) : x.fill * count;
            } else if (xInside) {
                _extreme(self, state, x, count);
            } else {
                _take(self, state, x.fill, state.position + uint256(column));
            }
        }
    }

    /// @dev Under a sum a factor that is filled with zero settles the product: the other one is located, but not read.
    function _settled(Evaluation memory self, Access memory access, bool isInside) private pure returns (bool) {
        return !isInside && access.fill == 0 && self.op.monoid == Monoids.SUM;
    }

    function _dot(Evaluation memory self, Access memory x, Access memory y, int256 column, int256 count)
        private
        pure
        returns (int256 sum)
    {
        unchecked {
            int256 length = _dense(x) && _dense(y) ? count : int256(1);
            for (int256 stop = column + count; column < stop; column += length) {
                uint256 a = _reach(self, x, column, length);
                uint256 b = _reach(self, y, column, length);
                sum += Kernels.dot(a, _step(x), x.shift, b, _step(y), y.shift, uint256(length));
            }
        }
    }

    function _total(Evaluation memory self, Access memory access, int256 column, int256 count)
        private
        pure
        returns (int256 sum)
    {
        unchecked {
            int256 length = _dense(access) ? count : int256(1);
            for (int256 stop = column + count; column < stop; column += length) {
                uint256 a = _reach(self, access, column, length);
                sum += Kernels.total(a, _step(access), access.shift, uint256(length));
            }
        }
    }

    /// @dev The extreme element of one factor.
    function _extreme(Evaluation memory self, State memory state, Access memory x, int256 count) private pure {
        unchecked {
            int256 length = _dense(x) ? count : int256(1);
            int256 sign = _sign(self);
            for (int256 j = 0; j < count; j += length) {
                uint256 a = _reach(self, x, state.column + j, length);
                (int256 best, uint256 index) = Kernels.largest(a, _step(x), x.shift, uint256(length), sign);
                if (best > state.best) {
                    state.best = best;
                    state.bestAt = state.position + uint256(state.column + j) + index;
                }
            }
        }
    }

    /// @dev The extreme product of two factors.
    function _products(Evaluation memory self, State memory state, bool xInside, bool yInside, int256 count)
        private
        pure
    {
        unchecked {
            Access memory x = self.op.accesses[0];
            Access memory y = self.op.accesses[1];
            int256 length = (!xInside || _dense(x)) && (!yInside || _dense(y)) ? count : int256(1);
            int256 sign = _sign(self);
            uint256 a = 0;
            uint256 b = 0;
            int256 left = 0;
            uint256 position = state.position + uint256(state.column);
            for (int256 j = 0; j < count; ++j) {
                if (left == 0) {
                    left = length;
                    if (xInside) a = _reach(self, x, state.column + j, length);
                    if (yInside) b = _reach(self, y, state.column + j, length);
                }
                int256 product = xInside ? Kernels.read(a, x.shift) : x.fill;
                product = Arithmetic.wrap(product * (yInside ? Kernels.read(b, y.shift) : y.fill)) * sign;
                if (product > state.best) {
                    state.best = product;
                    state.bestAt = position + uint256(j);
                }
                // Outside of both there is one product.
                if (!xInside && !yInside) return;
                a += _step(x);
                b += _step(y);
                --left;
            }
        }
    }

    /// @dev Bytes from one element of a row to the next (signed).
    function _step(Access memory access) private pure returns (uint256) {
        unchecked {
            return uint256(access.steps[0]) << access.shift;
        }
    }

    /// @dev Whether the leaves from a row's first element to its last have all to be read.
    function _dense(Access memory access) private pure returns (bool) {
        unchecked {
            int256 step = access.steps[0];
            return (step < 0 ? -step : step) <= int256(1024 >> access.shift);
        }
    }

    /// @dev Calldata offset of element `at` of the row; the `length` elements from it on, which are dense or one, count as read.
    function _reach(Evaluation memory self, Access memory access, int256 column, int256 length)
        private
        pure
        returns (uint256)
    {
        unchecked {
            int256 first = access.element + access.steps[0] * column;
            int256 last = first + access.steps[0] * (length - 1);
            if (first <= last) return Operands.reach(self, access, first, last);
            return Operands.reach(self, access, last, first) + (uint256(first - last) << access.shift);
        }
    }

    /// @dev A row in which an index or a selected value moves, element by element.
    function _elements(Evaluation memory self, State memory state, Access[][] memory chains, int256 count)
        private
        pure
    {
        unchecked {
            for (uint256 j = 0; j < chains.length; ++j) {
                for (uint256 n = 0; n < chains[j].length; ++n) {
                    _span(self, chains[j][n], count);
                }
            }
            Access memory x = chains[0][0];
            bool two = chains.length == 2;
            for (int256 column = 0; column < count; ++column) {
                (bool within, int256 a) = _locate(self, chains[0], column);
                int256 element;
                if (two) {
                    Access memory y = chains[1][0];
                    (bool yWithin, int256 b) = _locate(self, chains[1], column);
                    if (_settled(self, x, within) || _settled(self, y, yWithin)) continue;
                    element = within ? Operands.read(self, x, a) : x.fill;
                    element = Arithmetic.wrap(element * (yWithin ? Operands.read(self, y, b) : y.fill));
                } else {
                    element = within ? Operands.read(self, x, a) : x.fill;
                }
                if (self.op.monoid <= Monoids.SUM) state.sum += element;
                else _take(self, state, element, state.position + uint256(column));
            }
        }
    }

    /// @dev The element that the first access of the chain addresses at element `at` of the row, unless it lies outside; the
    ///      last of the chain is read first.
    function _locate(Evaluation memory self, Access[] memory chain, int256 column)
        private
        pure
        returns (bool within, int256 element)
    {
        unchecked {
            int256 extra = 0;
            for (uint256 n = chain.length - 1;; --n) {
                Access memory access = chain[n];
                within = _inside(access, column);
                if (within) {
                    element = access.element + access.steps[0] * column;
                    uint256 indirect = access.indirect;
                    if (indirect != NO_DIMENSION) {
                        Dimension memory dimension = access.dimensions[indirect];
                        int256 coordinate = dimension.coordinate + dimension.slope * column + extra;
                        within = coordinate >= 0 && coordinate < dimension.size;
                        element += coordinate * dimension.stride;
                    }
                    if (access.stack != 0) {
                        Dimension memory dimension = access.dimensions[0];
                        extra = dimension.coordinate + dimension.slope * column + (indirect == 0 ? extra : int256(0));
                        Operands.select(access, extra);
                    }
                }
                if (n == 0) return (within, element);
                extra = within ? Operands.read(self, access, element) : access.fill;
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
