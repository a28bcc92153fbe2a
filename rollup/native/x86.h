// What an x86-64 processor can do, and what the system lets a process use of it.
#pragma once

#include <cpuid.h>
#include <stdint.h>

namespace {

struct Cpu {
  unsigned basic = 0, extended = 0, saved = 0;  // CPUID 1 ecx, CPUID 7 ebx, XCR0

  Cpu() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    basic = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) extended = b;
    if (basic & 1u << 27) {
      unsigned high;
      __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    }
  }

  bool sha() const { return (basic & 1u << 19) && (basic & 1u << 9) && (extended & 1u << 29); }
  bool avx2() const { return (extended & 1u << 5) && (saved & 0x06) == 0x06; }
  bool avx512() const { return (extended & 1u << 16) && (extended & 1u << 30) && (saved & 0xe6) == 0xe6; }  // F and BW
};

}  // namespace
