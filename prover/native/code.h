// The op's code on tiles: TILE elements, tile_rows rows of tile_panels panels each, an instruction at a time. Every loop has TILE
// rounds, so that the compiler makes whole vectors of it. What no element of a tile needs anew is computed once a group of panels
// (level 1) or once a task (level 0). Meanings are those of the op table (docs/ops.md); rules that hold for some ranges only
// (MUL_32, MUL_U32, DIV_FLOAT, DIV_LONG, SHR_FAST, SHR_RIGHT, SHIFT) are chosen where the intervals prove them. CLAMP is MAX after
// MIN, SCALE_U32 is SHR_FAST after MUL_U32; CLAMP_NARROW has 64-bit operands and a 32-bit result, SCALE_NARROW two 32-bit factors,
// a 64-bit shift and a 64-bit result.

#define TILES for (int i = 0; i < TILE; i++)

template <class T, class U>
ALWAYS_INLINE void compute_one(int32_t op, T* __restrict to, const T* a, const T* b, const T* c) {
  constexpr int BITS = 8 * sizeof(T);
  switch (op) {
    case ADD: TILES to[i] = (T)((U)a[i] + (U)b[i]); break;
    case SUB: TILES to[i] = (T)((U)a[i] - (U)b[i]); break;
    case MUL: TILES to[i] = (T)((U)a[i] * (U)b[i]); break;
    case MUL_32: TILES to[i] = (T)((int64_t)(int32_t)a[i] * (int32_t)b[i]); break;
    case MUL_U32: TILES {
      // b lies in 0 .. 2^32 - 1: two multiplications of words instead of three.
      const uint64_t m = (uint32_t)b[i], n = (uint64_t)(int64_t)a[i];
      to[i] = (T)((uint32_t)n * m + (((n >> 32) * m) << 32));
    } break;
    case DIV_LONG:
      if constexpr (Words::CONVERTS) {
        TILES {
          // The quotient of floats can be off by 2^-51 of itself; so is the remainder, whose own quotient can be off by one.
          const int64_t x = b[i] == 0 ? 0 : a[i], y = b[i] == 0 ? 1 : b[i], size = y < 0 ? -y : y;
          const double by = (double)y;
          int64_t q = (int64_t)__builtin_floor((double)x / by);
          q += (int64_t)__builtin_floor((double)(int64_t)((uint64_t)x - (uint64_t)q * (uint64_t)y) / by);
          int64_t rest = (int64_t)((uint64_t)x - (uint64_t)q * (uint64_t)y);
          rest = y < 0 ? -rest : rest;
          to[i] = (T)(q + (rest >= size) - (rest < 0));
        }
        break;
      }
      [[fallthrough]];
    case DIV: TILES {
      const T y = b[i] == 0 || b[i] == -1 ? 1 : b[i];
      T q = a[i] / y;
      q -= a[i] % y != 0 && (a[i] < 0) != (y < 0);
      to[i] = b[i] == 0 ? 0 : b[i] == -1 ? (T)(0 - (U)a[i]) : q;
    } break;
    case DIV_FLOAT: TILES {
      // The quotient of floats can be off by one; the remainder tells.
      const int64_t x = a[i], y = b[i] == 0 ? 1 : b[i], size = y < 0 ? -y : y;
      const int64_t q = (int64_t)__builtin_floor((double)x / (double)y);
      int64_t rest = x - q * y;
      rest = y < 0 ? -rest : rest;
      to[i] = b[i] == 0 ? 0 : (T)(q + (rest >= size) - (rest < 0));
    } break;
    case SHIFT: TILES to[i] = a[i] >> b[i]; break;
    case SHL: TILES to[i] = b[i] >= 0 && b[i] < BITS ? (T)((U)a[i] << (b[i] & (BITS - 1))) : 0; break;
    case SHR_FAST: TILES to[i] = (T)(a[i] + (T)(((U)1 << b[i]) >> 1)) >> b[i]; break;
    case SHR_RIGHT: TILES {
      // Not negative shifts; adding half a step could overflow.
      const T s = b[i], half = s > 0 ? s - 1 : 0;
      to[i] = (a[i] >> s) + ((a[i] >> half) & (s > 0));
    } break;
    case SHR: TILES {
      const int64_t x = a[i], s = b[i];
      if (s > 0)
        to[i] = s >= 64 ? 0 : (T)((x >> s) + ((x >> (s - 1)) & 1));
      else
        to[i] = s <= -64 ? 0 : (T)((uint64_t)x << -s);
    } break;
    case MULSHIFT: TILES {
      const __int128 x = (__int128)a[i] * b[i];
      const int64_t s = c[i];
      if (s > 0)
        to[i] = s >= 128 ? 0 : (T)(int64_t)((x >> s) + ((x >> (s - 1)) & 1));
      else
        to[i] = s <= -64 ? 0 : (T)((uint64_t)x << -s);
    } break;
    case AND: TILES to[i] = a[i] & b[i]; break;
    case OR: TILES to[i] = a[i] | b[i]; break;
    case XOR: TILES to[i] = a[i] ^ b[i]; break;
    case MIN: TILES to[i] = a[i] < b[i] ? a[i] : b[i]; break;
    case MAX: TILES to[i] = a[i] > b[i] ? a[i] : b[i]; break;
    case CLAMP: TILES {
      const T x = a[i] < b[i] ? a[i] : b[i];
      to[i] = x > c[i] ? x : c[i];
    } break;
    case SCALE_U32: TILES {
      const uint64_t m = (uint32_t)b[i], n = (uint64_t)(int64_t)a[i];
      const uint64_t product = (uint32_t)n * m + (((n >> 32) * m) << 32);
      to[i] = (T)((int64_t)(product + (((uint64_t)1 << c[i]) >> 1)) >> c[i]);
    } break;
    case ABS: TILES to[i] = a[i] < 0 ? (T)(0 - (U)a[i]) : a[i]; break;
    case LESS: TILES to[i] = a[i] < b[i]; break;
    case EQUAL: TILES to[i] = a[i] == b[i]; break;
    case SELECT: TILES to[i] = a[i] != 0 ? b[i] : c[i]; break;
    case BITLEN: TILES {
      const uint64_t size = a[i] < 0 ? 0 - (uint64_t)a[i] : (uint64_t)a[i];
      to[i] = size ? 64 - __builtin_clzll(size) : 0;
    } break;
    case ISQRT: TILES {
      const int64_t x = a[i] > 0 ? a[i] : 0;
      int64_t root = (int64_t)__builtin_sqrt((double)x);
      root = root > 3037000499 ? 3037000499 : root;
      root -= root * root > x;
      root += root < 3037000499 && (root + 1) * (root + 1) <= x;
      to[i] = (T)root;
    } break;
    default: break;
  }
}

__attribute__((noinline)) void compute_narrow(int32_t op, int32_t* to, const int32_t* a, const int32_t* b, const int32_t* c) {
  compute_one<int32_t, uint32_t>(op, to, a, b, c);
}

__attribute__((noinline)) void compute_wide(int32_t op, int64_t* to, const int64_t* a, const int64_t* b, const int64_t* c) {
  compute_one<int64_t, uint64_t>(op, to, a, b, c);
}

__attribute__((noinline)) void clamp_narrow(int32_t* __restrict to, const int64_t* a, const int64_t* b, const int64_t* c) {
  TILES {
    const int64_t x = a[i] < b[i] ? a[i] : b[i];
    to[i] = (int32_t)(x > c[i] ? x : c[i]);
  }
}

__attribute__((noinline)) void scale_narrow(int64_t* __restrict to, const int32_t* a, const int32_t* b, const int64_t* c) {
  TILES to[i] = ((int64_t)a[i] * b[i] + (int64_t)(((uint64_t)1 << c[i]) >> 1)) >> c[i];
}

class Tiles {
 public:
  Tiles(const Product& p, const Scratch& s, int64_t batch) : p_(p), s_(s), width_(p.tile_panels * PANEL) {
    for (int n = 0; n <= p.array_count; n++)
      base_[n] = array(n).base + offset_of(p.dims[BATCH], array(n).stride[BATCH], batch);
    level(0);
  }

  void columns(int64_t first) {
    first_column_ = first;
    for (int n = 0; n <= p_.array_count; n++)
      dense_[n] = offsets_of(p_.dims[COLUMN], array(n).stride[COLUMN], first, width_, column(n));
    level(1);
  }

  void rows(int64_t first) {
    for (int n = 0; n <= p_.array_count; n++) offsets_of(p_.dims[ROW], array(n).stride[ROW], first, ROWS, row(n));
  }

  // Rows r and following of a block, of whose rows `count` have sums.
  void tile(int64_t r, int64_t count, int64_t panels) {
    row_ = r;
    accumulators(r, count, panels);
    level(2);
    const int64_t valid = p_.dims[COLUMN].total - first_column_;
    store(count - r < p_.tile_rows ? count - r : p_.tile_rows, valid < width_ ? valid : width_);
  }

 private:
  const Product& p_;
  const Scratch& s_;
  const int64_t width_;
  int64_t first_column_ = 0, row_ = 0;
  int64_t base_[MOST_ARRAYS + 1];
  bool dense_[MOST_ARRAYS + 1];

  const Array& array(int n) const { return n < p_.array_count ? p_.arrays[n] : p_.out; }
  int64_t* row(int n) const { return s_.places + n * (ROWS + TILE); }
  int64_t* column(int n) const { return row(n) + ROWS; }
  int64_t* wide(int n) const { return s_.registers + (int64_t)n * TILE; }
  int32_t* narrow(int n) const { return (int32_t*)wide(n); }

  void accumulators(int64_t r, int64_t count, int64_t panels) {
    const int64_t half = (int64_t)ROWS * p_.limbs * PANEL;
    for (int64_t t = 0; t < p_.tile_rows; t++)
      for (int64_t q = 0; q < p_.tile_panels; q++) {
        const int64_t at = t * width_ + q * PANEL;
        const int32_t* low = s_.sums + q * 2 * half + (r + t) * p_.limbs * PANEL;
        if (r + t >= count || q >= panels) {
          for (int c = 0; c < PANEL; c++)
            if (p_.low) narrow(0)[at + c] = 0; else wide(0)[at + c] = 0;
        } else if (p_.low) {
          int32_t* to = narrow(0) + at;
          if (p_.limbs == 1)
            for (int c = 0; c < PANEL; c++) to[c] = low[c];
          else
            for (int c = 0; c < PANEL; c++) to[c] = (int32_t)(((uint32_t)low[c] << p_.limb_bits) + (uint32_t)low[PANEL + c]);
        } else {
          int64_t* to = wide(0) + at;
          const int32_t* high = low + half;
          if (p_.limbs == 1)
            for (int c = 0; c < PANEL; c++) to[c] = whole(low[c], high[c]);
          else
            for (int c = 0; c < PANEL; c++)
              to[c] = (int64_t)((uint64_t)whole(low[c], high[c]) << p_.limb_bits) + whole(low[PANEL + c], high[PANEL + c]);
        }
      }
  }

  static ALWAYS_INLINE int64_t whole(int32_t low, int32_t high) {
    const uint32_t upper = (uint32_t)high << 16;
    return (int64_t)((uint64_t)(int64_t)high << 16) + (int64_t)(uint64_t)((uint32_t)low - upper);
  }

  void level(int32_t which) {
    for (int n = 0; n < p_.instruction_count; n++)
      if (p_.code[n].level == which) run_one(p_.code[n]);
  }

  void run_one(const Instruction& it) {
    switch (it.op) {
      case CONSTANT:
        if (it.wide) TILES wide(it.to)[i] = p_.constants[it.a];
        else TILES narrow(it.to)[i] = (int32_t)p_.constants[it.a];
        break;
      case LOAD:
        if (it.wide) load(wide(it.to), it.a, it.level); else load(narrow(it.to), it.a, it.level);
        break;
      case GATHER:
        if (it.wide) gather(wide(it.to), it); else gather(narrow(it.to), it);
        break;
      case WIDEN: TILES wide(it.to)[i] = narrow(it.a)[i]; break;
      case NARROW: TILES narrow(it.to)[i] = (int32_t)wide(it.a)[i]; break;
      case CLAMP_NARROW: clamp_narrow(narrow(it.to), wide(it.a), wide(it.b), wide(it.c)); break;
      case SCALE_NARROW: scale_narrow(wide(it.to), narrow(it.a), narrow(it.b), wide(it.c)); break;
      default:
        if (it.wide) compute_wide(it.op, wide(it.to), wide(it.a), wide(it.b), wide(it.c));
        else compute_narrow(it.op, narrow(it.to), narrow(it.a), narrow(it.b), narrow(it.c));
    }
  }

  template <class T>
  void load(T* to, int n, int level) {
    switch (array(n).dtype) {
      case 0: return load_places(to, n, level);
      case 1: return load_of((const int8_t*)array(n).data, to, n, level);
      case 2: return load_of((const int16_t*)array(n).data, to, n, level);
      case 4: return load_of((const int32_t*)array(n).data, to, n, level);
      default: return load_of((const int64_t*)array(n).data, to, n, level);
    }
  }

  // Offset of a tile's row; what is computed at level 0 or 1 does not depend on it.
  int64_t row_at(int n, int level, int64_t t) const { return level < 2 ? 0 : row(n)[row_ + t < ROWS ? row_ + t : ROWS - 1]; }
  int64_t column_at(int n, int level, int64_t c) const { return level < 1 ? 0 : column(n)[c]; }

  template <class S, class T>
  void load_of(const S* data, T* to, int n, int level) {
    for (int64_t t = 0; t < p_.tile_rows; t++, to += width_) {
      const S* from = data + base_[n] + row_at(n, level, t);
      if (level && dense_[n]) {
        from += column(n)[0];
        for (int64_t c = 0; c < width_; c++) to[c] = (T)from[c];
      } else {
        for (int64_t c = 0; c < width_; c++) to[c] = (T)from[column_at(n, level, c)];
      }
    }
  }

  template <class T>
  void load_places(T* to, int n, int level) {
    for (int64_t t = 0; t < p_.tile_rows; t++)
      for (int64_t c = 0; c < width_; c++) *to++ = (T)(base_[n] + row_at(n, level, t) + column_at(n, level, c));
  }

  template <class T>
  void gather(T* to, const Instruction& it) {
    const T* index = it.wide ? (const T*)wide(it.b) : (const T*)narrow(it.b);
    switch (array(it.a).dtype) {
      case 1: return gather_of((const int8_t*)array(it.a).data, to, index, it);
      case 2: return gather_of((const int16_t*)array(it.a).data, to, index, it);
      case 4: return gather_of((const int32_t*)array(it.a).data, to, index, it);
      default: return gather_of((const int64_t*)array(it.a).data, to, index, it);
    }
  }

  template <class S, class T>
  void gather_of(const S* data, T* to, const T* index, const Instruction& it) {
    const Array& of = array(it.a);
    for (int64_t t = 0; t < p_.tile_rows; t++) {
      const S* from = data + base_[it.a] + row_at(it.a, it.level, t);
      for (int64_t c = 0; c < width_; c++, to++, index++) {
        const uint64_t at = (uint64_t)*index + (uint64_t)of.first;
        *to = at < (uint64_t)of.size ? (T)from[column_at(it.a, it.level, c) + (int64_t)at * of.step] : (T)of.fill;
      }
    }
  }

  void store(int64_t rows, int64_t columns) {
    switch (p_.out.dtype) {
      case 1: return store_as<int8_t>(rows, columns);
      case 2: return store_as<int16_t>(rows, columns);
      case 4: return store_as<int32_t>(rows, columns);
      default: return store_as<int64_t>(rows, columns);
    }
  }

  template <class S>
  void store_as(int64_t rows, int64_t columns) {
    if (p_.result_wide) store_of<S>(wide(p_.result), rows, columns);
    else store_of<S>(narrow(p_.result), rows, columns);
  }

  template <class S, class T>
  void store_of(const T* from, int64_t rows, int64_t columns) {
    const int n = p_.array_count;
    const int64_t* place = column(n);
    for (int64_t t = 0; t < rows; t++, from += width_) {
      S* to = (S*)p_.out.data + base_[n] + row(n)[row_ + t];
      if (dense_[n] && columns == width_) {
        to += place[0];
        for (int64_t c = 0; c < width_; c++) to[c] = (S)from[c];
      } else {
        for (int64_t c = 0; c < columns; c++) to[place[c]] = (S)from[c];
      }
    }
  }
};
