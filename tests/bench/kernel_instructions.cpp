// Runs every row of the kernels' tables once on small fixed tasks, for valgrind's callgrind to count the
// instructions in countedRun(); tests/bench/instructions.mjs does so and compares. Prints a line a task, in
// the order of the runs.
//
//   kernel_instructions [--compiler]
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "kernels/add/add.h"
#include "kernels/int8_conv/int8_conv.h"
#include "kernels/lookup/lookup.h"
#include "kernels/lrn/lrn.h"
#include "kernels/mul/mul.h"
#include "kernels/pool/pool.h"
#include "kernels/ternary_conv/ternary_conv.h"
#include "runtime/conv_kind.h"

using namespace trefoil;

using Work = std::function<void()>;

// Callgrind counts between its first and its last instruction, and writes the count when it returns.
extern "C" __attribute__((noinline)) void countedRun(const Work* work) {
  (*work)();
  asm volatile("" ::: "memory");
}

namespace {

void count(const std::string& name, const Work& work) {
  std::printf("%s\n", name.c_str());
  countedRun(&work);
}

AlignedBuffer filled(std::size_t bytes, int most = 255) {
  AlignedBuffer buffer(bytes);
  for (std::size_t i = 0; i < bytes + kSlackBytes; ++i) {
    buffer.data()[i] = static_cast<std::uint8_t>(i * 151 % (static_cast<std::size_t>(most) + 1));
  }
  return buffer;
}

template <typename Weights>
void countConv(const char* name, const ConvKind& kind, const SampleConv& conv, const Weights& weights,
               std::span<const ConvVariant<Weights>> table) {
  const AlignedBuffer input = filled(tensorBytes(kind.in), kind.input_max);
  AlignedBuffer output(tensorBytes(kind.out));
  for (const ConvVariant<Weights>& row : table) {
    if (!row.supports(conv.task(), weights)) continue;
    const AlignedBuffer packed = row.pack(conv.task(), weights);
    AlignedBuffer scratch = filled(row.scratchBytes(conv.task()));
    count(std::string(name) + " " + std::string(row.name),
          [&] { row.run(conv.task(), packed, input.data(), output.data(), scratch.data(), Part{}); });
  }
}

ConvKind kindOf(Shape in, int filters, int kernel, int stride, int groups = 1) {
  ConvKind kind;
  kind.in = in;
  kind.out = {filters, (in.height - 1) / stride + 1, (in.width - 1) / stride + 1};
  const int pad = kernel / 2;
  kind.window = {kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad};
  kind.groups = groups;
  return kind;
}

void countTernary() {
  struct Case {
    const char* name;
    ConvKind kind;
    int bits, group_size, levels, planes;
  };
  const ConvKind pointwise = kindOf({64, 14, 14}, 48, 1, 1), square = kindOf({64, 14, 14}, 32, 3, 1),
                 strided = kindOf({32, 14, 14}, 32, 3, 2), flat = kindOf({256, 1, 1}, 100, 1, 1),
                 depthwise = kindOf({16, 14, 14}, 16, 3, 1, 16);
  const Case cases[] = {
      {"ternary 1x1 A8 N=64", pointwise, 8, 64, 0, 1},
      {"ternary 1x1 A8 N=4", pointwise, 8, 4, 0, 1},
      {"ternary 3x3 A8 N=64", square, 8, 64, 0, 1},
      {"ternary 3x3 A8 N=4, 4 levels", square, 8, 4, 4, 1},
      {"ternary 3x3 A8 N=filter", square, 8, kWholeFilter, 1, 1},
      {"ternary 3x3 A8 N=64, 2 planes", square, 8, 64, 0, 2},
      {"ternary 3x3 A4 N=64", square, 4, 64, 0, 1},
      {"ternary 3x3/2 A8 N=64", strided, 8, 64, 0, 1},
      {"ternary flat A8 N=64", flat, 8, 64, 0, 1},
      {"ternary depthwise 3x3 A8", depthwise, 8, 4, 0, 1},
  };
  for (const Case& c : cases) {
    ConvKind kind = c.kind;
    kind.input_max = (1 << c.bits) - 1;
    kind.group_size = c.group_size;
    kind.levels = c.levels;
    kind.planes = c.planes;
    const SampleConv conv(kind);
    countConv(c.name, kind, conv, conv.ternary(), ternaryConvVariants());
  }
}

void countInt8() {
  const std::pair<const char*, ConvKind> cases[] = {
      {"int8 7x7/2", kindOf({3, 32, 32}, 16, 7, 2)},
      {"int8 1x1", kindOf({32, 14, 14}, 32, 1, 1)},
      {"int8 depthwise 3x3", kindOf({16, 14, 14}, 16, 3, 1, 16)},
      {"int8 depthwise 5x5/2", kindOf({16, 14, 14}, 16, 5, 2, 16)},
      {"int8 flat", kindOf({256, 1, 1}, 100, 1, 1)},
  };
  for (auto [name, kind] : cases) {
    kind.ternary = false;
    const SampleConv conv(kind);
    countConv(name, kind, conv, conv.int8(), int8ConvVariants());
  }
}

template <typename Fn, typename Run>
void countRows(const char* name, std::span<const Variant<Fn>> table, const Run& run) {
  for (const Variant<Fn>& row : table)
    count(std::string(name) + " " + std::string(row.name), [&] { run(*row.run); });
}

void countOthers() {
  const Shape shape{16, 14, 14};
  const std::size_t bytes = tensorBytes(shape);
  const AlignedBuffer a = filled(bytes), b = filled(bytes);
  AlignedBuffer out(bytes), scratch = filled(1 << 16);
  const FixedPoint factor{1518500249, 34};
  const Part whole;

  const AddTask add{bytes, {3, 5}, {300'000, 400'000}, 20, 7, 0, 255};
  countRows("add", addVariants(), [&](AddFn& run) { run(add, a.data(), b.data(), out.data(), whole); });
  const AddTask short_add{bytes, {3, 5}, {19'000, 25'000}, kShortAddShift, 7, 0, 255};
  countRows("add, short multipliers", addVariants(),
            [&](AddFn& run) { run(short_add, a.data(), b.data(), out.data(), whole); });

  for (const bool per_channel : {false, true}) {
    const MulTask mul{shape, per_channel, {3, 5}, factor, 7, 0, 255};
    countRows(per_channel ? "mul by channel" : "mul", mulVariants(),
              [&](MulFn& run) { run(mul, a.data(), b.data(), out.data(), whole); });
  }

  std::vector<std::uint8_t> table(256);
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<std::uint8_t>(i * 3);
  const LookupTask lookup{shape, table, 255};
  countRows("lookup", lookupVariants(), [&](LookupFn& run) { run(lookup, a.data(), out.data(), whole); });

  PoolTask pool;
  pool.in = shape;
  pool.out = {16, 7, 7};
  pool.window = {3, 3, 2, 2, 1, 1, 1, 1, 0, 0};
  const std::vector<FixedPoint> factors(9, factor);
  pool.factors = factors;
  const auto run_pool = [&](PoolFn& run) { run(pool, a.data(), out.data(), scratch.data(), whole); };
  countRows("max pool 3x3/2", maxPoolVariants(), run_pool);
  countRows("average pool 3x3/2", averagePoolVariants(), run_pool);
  pool.out = {16, 1, 1};
  pool.window = {14, 14};
  pool.factors = std::span(factors).first(1);
  countRows("average pool of all", averagePoolVariants(), run_pool);

  const std::vector<std::int32_t> powers(256, 1 << 20);
  const LrnTask lrn{shape, 5, 10, powers, 20, 3, 7, 255};
  countRows("lrn", lrnVariants(), [&](LrnFn& run) { run(lrn, a.data(), out.data(), whole); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--compiler") == 0) {
#if defined(__x86_64__) && !defined(__clang__)
    std::printf("g++ %s, x86-64\n", __VERSION__);
#else
    std::printf("%s, no g++ for x86-64\n", __VERSION__);
#endif
    return 0;
  }
  countTernary();
  countInt8();
  countOthers();
}
