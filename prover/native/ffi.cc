// Products as XLA calls them, on XLA's own threads.
#include <stdlib.h>

#include <string>

#include "driver.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace touchstone {
namespace {

int size_of(ffi::DataType type) {
  switch (type) {
    case ffi::DataType::S8:
    case ffi::DataType::U8:
      return 1;
    case ffi::DataType::S16:
      return 2;
    case ffi::DataType::S32:
      return 4;
    case ffi::DataType::S64:
      return 8;
    default:
      return 0;
  }
}

Buffer buffer(const ffi::AnyBuffer& of) { return {of.untyped_data(), (int64_t)of.element_count(), size_of(of.element_type())}; }

ffi::Error product(ffi::ThreadPool threads, ffi::RemainingArgs args, ffi::Result<ffi::AnyBuffer> result, ffi::Span<const int64_t> plan) {
  static const Kernels* kernels = [] {
    const char* name = getenv("TOUCHSTONE_KERNELS");
    return kernels_named(name ? name : "");
  }();
  if (!kernels) return ffi::Error::InvalidArgument("TOUCHSTONE_KERNELS names kernels that this machine does not run");
  std::vector<Buffer> operands;
  for (size_t n = 0; n < args.size(); n++) {
    auto argument = args.get<ffi::AnyBuffer>(n);
    if (!argument.has_value()) return argument.error();
    operands.push_back(buffer(*argument));
  }
  Product p;
  const std::string wrong = read_plan(plan.begin(), plan.size(), operands, buffer(*result), p);
  if (!wrong.empty()) return ffi::Error::InvalidArgument("touchstone product: " + wrong);
  run(p, *kernels, {threads.num_threads(), [&](std::function<void()> work) { threads.Schedule(std::move(work)); }});
  return ffi::Error::Success();
}

}  // namespace
}  // namespace touchstone

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(touchstone_product, touchstone::product,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().RemainingArgs().Ret<ffi::AnyBuffer>().Attr<ffi::Span<const int64_t>>("plan"));

extern "C" int touchstone_ffi_version() { return XLA_FFI_API_MAJOR * 1000 + XLA_FFI_API_MINOR; }
