// Up to 6 bits a table is four registers and a look-up four swizzles. At 8 bits it would be sixteen, which is
// no faster than loads.
#include "base/simd.h"
#include "kernels/lookup/lookup.h"

namespace trefoil {
namespace {

// One plane; kParts tables of 16 entries. A swizzle yields 0 for an index above 15, so the parts can be
// joined by or.
template <int kParts>
void lookupPlane(const std::uint8_t* table, const std::uint8_t* in, std::size_t count, std::uint8_t* out) {
  v128_t parts[kParts];
  for (int p = 0; p < kParts; ++p) parts[p] = wasm_v128_load(table + 16 * p);
  const v128_t sixteen = wasm_i8x16_splat(16);
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    v128_t index = wasm_v128_load(in + i);
    v128_t result = wasm_i8x16_swizzle(parts[0], index);
    for (int p = 1; p < kParts; ++p) {
      index = wasm_i8x16_sub(index, sixteen);
      result = wasm_v128_or(result, wasm_i8x16_swizzle(parts[p], index));
    }
    wasm_v128_store(out + i, result);
  }
  for (; i < count; ++i) out[i] = table[in[i]];
}

}  // namespace

void lookupSimd128(const LookupTask& task, const std::uint8_t* in, std::uint8_t* out) {
  const std::size_t stride = planeStride(task.shape);
  if (task.input_max > 63 || (task.perChannel() && stride < 16)) return lookupScalar(task, in, out);
  const auto plane = task.input_max <= 15   ? lookupPlane<1>
                     : task.input_max <= 31 ? lookupPlane<2>
                                            : lookupPlane<4>;
  if (!task.perChannel()) return plane(task.table.data(), in, tensorBytes(task.shape), out);
  for (int c = 0; c < task.shape.channels; ++c, in += stride, out += stride) {
    plane(task.table.data() + std::size_t{256} * static_cast<std::size_t>(c), in, stride, out);
  }
}

}  // namespace trefoil
