// A device for torch, "pretended", whose memory is the CPU's under another name.
//
// torch refuses to mix it with the CPU, as it refuses CUDA, and so do the kernels below:
// code that runs on it forgets no tensor on the wrong side. It computes what the CPU does,
// but for doubles, which it has not, as Apple's GPUs.

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/resize_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>

namespace {

using at::Tensor;
using Ints = c10::SymIntArrayRef;
template <class T>
using Maybe = std::optional<T>;

const c10::Device PRETENDED(c10::DeviceType::PrivateUse1, 0);
const c10::DispatchKeySet KEYS(c10::DispatchKey::PrivateUse1);

bool is_pretended(const Tensor& t) {
  return t.device().type() == PRETENDED.type();
}

auto ints(Ints values) {
  return C10_AS_INTARRAYREF_SLOW(values);
}

// What torch wants to know of a device: one, without streams or events.

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return PRETENDED.type(); }
  c10::Device exchangeDevice(c10::Device) const override { return PRETENDED; }
  c10::Device getDevice() const override { return PRETENDED; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Stream getStream(c10::Device) const override {
    return c10::Stream(c10::Stream::DEFAULT, PRETENDED);
  }
  c10::Stream exchangeStream(c10::Stream s) const override { return s; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(size_t n) override {
    void* p = n ? std::aligned_alloc(64, (n + 63) / 64 * 64) : nullptr;
    TORCH_CHECK(p || !n, "out of memory");
    return {p, p, &std::free, PRETENDED};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t n) const override {
    std::memcpy(to, from, n);
  }
};
Allocator allocator;
REGISTER_ALLOCATOR(c10::DeviceType::PrivateUse1, &allocator);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t n) const override {
    auto data = allocator.allocate(n);
    size_t kept = std::min(n, storage.nbytes());
    if (kept) std::memcpy(data.get(), storage.data(), kept);
    storage.unsafeGetStorageImpl()->set_data_ptr(std::move(data));
    storage.unsafeGetStorageImpl()->set_nbytes(n);
  }
};
Hooks hooks;
const bool is_registered = (at::RegisterPrivateUse1HooksInterface(&hooks), true);

at::ScalarType checked(Maybe<at::ScalarType> dtype) {
  auto wanted = c10::dtype_or_default(dtype);
  TORCH_CHECK(wanted != at::kDouble, "pretended has no float64");
  return wanted;
}

// Memory: new, seen in another shape, copied.

Tensor empty(
    Ints size, Maybe<at::ScalarType> dtype, Maybe<at::Layout>, Maybe<at::Device>,
    Maybe<bool>, Maybe<at::MemoryFormat> format) {
  return at::detail::empty_generic(
      ints(size), &allocator, KEYS, checked(dtype), format);
}

Tensor empty_strided(
    Ints size, Ints stride, Maybe<at::ScalarType> dtype, Maybe<at::Layout>,
    Maybe<at::Device>, Maybe<bool>) {
  return at::detail::empty_strided_generic(
      ints(size), ints(stride), &allocator, KEYS, checked(dtype));
}

Tensor as_strided(const Tensor& t, Ints size, Ints stride, Maybe<c10::SymInt> offset) {
  auto start = offset ? Maybe<int64_t>(offset->expect_int()) : std::nullopt;
  return at::native::as_strided_tensorimpl(t, ints(size), ints(stride), start);
}

Tensor view(const Tensor& t, Ints size) {
  return at::native::view(t, ints(size));
}

Tensor reshape_alias(const Tensor& t, Ints size, Ints stride) {
  return at::native::_reshape_alias(t, ints(size), ints(stride));
}

Tensor unfold(const Tensor& t, int64_t dim, int64_t size, int64_t step) {
  return at::native::unfold(t, dim, size, step);
}

const Tensor& resize(const Tensor& t, Ints size, Maybe<at::MemoryFormat> format) {
  return at::native::resize_(t, ints(size), format);
}

Tensor& set_storage(
    Tensor& t, at::Storage storage, c10::SymInt offset, Ints size, Ints stride) {
  return at::native::set_storage_cpu_(
      t, storage, offset.expect_int(), ints(size), ints(stride));
}

Tensor& set_whole_storage(Tensor& t, at::Storage storage) {
  int64_t n = storage.nbytes() / t.dtype().itemsize();
  return at::native::set_storage_cpu_(t, storage, 0, {n}, {});
}

// The same memory as a tensor of the CPU.
Tensor on_cpu(const Tensor& t) {
  if (!t.defined() || !is_pretended(t)) return t;
  auto options = t.options().device(at::kCPU);
  if (t.numel() == 0) return at::empty_strided(t.sizes(), t.strides(), options);
  return at::from_blob(t.data_ptr(), t.sizes(), t.strides(), [t](void*) {}, options);
}

Maybe<Tensor> on_cpu(const Maybe<Tensor>& t) {
  return t ? Maybe<Tensor>(on_cpu(*t)) : std::nullopt;
}

Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  on_cpu(to).copy_(on_cpu(from));
  return to;
}

Tensor copy_from_and_resize(const Tensor& from, const Tensor& to) {
  at::native::resize_output(to, from.sizes());
  return copy_from(from, to, false);
}

at::Scalar item(const Tensor& t) {
  return on_cpu(t).item();
}

// Convolutions, which torch has no fallback for, and batch norm, where the fallback
// would forget to bring back the running statistics.

Tensor pretended(const Tensor& t) {
  return t.defined() ? t.to(PRETENDED) : t;
}

Tensor convolution(
    const Tensor& x, const Tensor& weight, const Maybe<Tensor>& bias, Ints stride,
    Ints padding, Ints dilation, bool transposed, Ints output_padding,
    c10::SymInt groups) {
  TORCH_CHECK(is_pretended(x) && is_pretended(weight), "a convolution mixes devices");
  return pretended(at::convolution(
      on_cpu(x), on_cpu(weight), on_cpu(bias), ints(stride), ints(padding), ints(dilation),
      transposed, ints(output_padding), groups.expect_int()));
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(
    const Tensor& grad, const Tensor& x, const Tensor& weight, Ints stride,
    Ints padding, Ints dilation, bool transposed, Ints output_padding,
    c10::SymInt groups, std::array<bool, 3> wanted) {
  auto n_outputs = transposed ? weight.size(1) * groups.expect_int() : weight.size(0);
  auto [dx, dweight, dbias] = at::convolution_backward(
      on_cpu(grad), on_cpu(x), on_cpu(weight), at::IntArrayRef({n_outputs}),
      ints(stride), ints(padding), ints(dilation), transposed, ints(output_padding),
      groups.expect_int(), wanted);
  return {pretended(dx), pretended(dweight), pretended(dbias)};
}

std::tuple<Tensor, Tensor, Tensor> batch_norm(
    const Tensor& x, const Maybe<Tensor>& weight, const Maybe<Tensor>& bias,
    const Maybe<Tensor>& mean, const Maybe<Tensor>& var, bool training,
    double momentum, double eps) {
  auto [y, batch_mean, batch_invstd] = at::native_batch_norm(
      on_cpu(x), on_cpu(weight), on_cpu(bias), on_cpu(mean), on_cpu(var), training,
      momentum, eps);
  return {pretended(y), pretended(batch_mean), pretended(batch_invstd)};
}

// All else is computed on the CPU, once no operand lies there: as with CUDA, numbers
// may, and indices.

void check(const Tensor& t, const std::string& name) {
  TORCH_CHECK(
      !t.defined() || is_pretended(t) || t.dim() == 0,
      "Expected all tensors to be on the same device, but found cpu and pretended in ",
      name);
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& name = op.schema().operator_name().name;
  for (const auto& value : torch::jit::last(stack, op.schema().arguments().size())) {
    if (value.isTensor()) check(value.toTensor(), name);
    if (value.isTensorList())
      for (const Tensor& t : value.toTensorVector()) check(t, name);
    if (value.isGenerator() && value.toGenerator().defined())
      TORCH_CHECK(false, "a generator of the CPU cannot draw on pretended in ", name);
  }
  at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", TORCH_FN(empty));
  m.impl("empty_strided", TORCH_FN(empty_strided));
  m.impl("as_strided", TORCH_FN(as_strided));
  m.impl("view", TORCH_FN(view));
  m.impl("_reshape_alias", TORCH_FN(reshape_alias));
  m.impl("unfold", TORCH_FN(unfold));
  m.impl("resize_", TORCH_FN(resize));
  m.impl("set_.source_Storage_storage_offset", TORCH_FN(set_storage));
  m.impl("set_.source_Storage", TORCH_FN(set_whole_storage));
  m.impl("_copy_from", TORCH_FN(copy_from));
  m.impl("_copy_from_and_resize", TORCH_FN(copy_from_and_resize));
  m.impl("_local_scalar_dense", TORCH_FN(item));
  m.impl("convolution_overrideable", TORCH_FN(convolution));
  m.impl("convolution_backward_overrideable", TORCH_FN(convolution_backward));
  m.impl("native_batch_norm", TORCH_FN(batch_norm));
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

}  // namespace
