// x86-64 with AVX2: eight messages at once.
#include "lanes.h"
#include "x86.h"

namespace {
bool usable() { return Cpu().avx2(); }
}  // namespace

const Kernel lanes_8 = {8, usable, Lanes<Words8>::hash};
