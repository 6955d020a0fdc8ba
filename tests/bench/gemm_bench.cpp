// Times the float evaluator's matrix products, of floats and of integers, against Eigen's on the shapes that
// ResNet-50's convolutions have, after checking them against it. Under Node, pass --no-liftoff.
//
//   gemm_bench [runs]
#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "graph/float_gemm.h"

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Product {
  int rows, columns, depth;  // filters, pixels, channels times taps
};
constexpr Product kProducts[] = {
    {64, 3136, 576}, {256, 3136, 64}, {256, 196, 2304}, {512, 49, 4608}, {2048, 49, 512}};

template <typename Run>
double seconds(const Run& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 10;
  bool equal = true;
  for (const Product& product : kProducts) {
    const Matrix a = Matrix::Random(product.rows, product.depth),
                 b = Matrix::Random(product.depth, product.columns);
    Matrix theirs(product.rows, product.columns), ours(product.rows, product.columns);
    const trefoil::MatrixRows rows = [&](std::int64_t row, std::int64_t first, int, float*) {
      return b.data() + row * product.columns + first;
    };
    const Matrix left = (a * 255).array().round(), right = (b * 255).array().round();
    const trefoil::MatrixRows integer_rows = [&](std::int64_t row, std::int64_t first, int, float*) {
      return right.data() + row * product.columns + first;
    };
    const Matrix expected = left * right;
    Matrix integers(product.rows, product.columns);
    double their_best = 1e9, our_best = 1e9, integer_best = 1e9;
    for (int run = 0; run < runs; ++run) {
      their_best = std::min(their_best, seconds([&] { theirs.noalias() = a * b; }));
      our_best = std::min(our_best, seconds([&] {
                            ours.setZero();
                            trefoil::multiplyAdd(product.rows, product.columns, product.depth, a.data(), rows,
                                                 ours.data());
                          }));
      integer_best = std::min(integer_best, seconds([&] {
                                integers.setZero();
                                trefoil::multiplyAddIntegers(product.rows, product.columns, product.depth,
                                                             left.data(), integer_rows, integers.data());
                              }));
    }
    const auto distance = [](const Matrix& x, const Matrix& y) {
      return (x - y).cwiseAbs().maxCoeff() / x.cwiseAbs().maxCoeff();
    };
    const float difference = std::max(distance(theirs, ours), distance(expected, integers));
    equal &= difference < 1e-5F;
    const double macs = 1e-9 * product.rows * product.columns * product.depth;
    std::printf(
        "%4d x %4d x %4d   Eigen %5.1f   own %5.1f   integers %5.1f GMAC/s   largest difference %.1e%s\n",
        product.rows, product.columns, product.depth, macs / their_best, macs / our_best, macs / integer_best,
        difference, equal ? "" : "  WRONG");
  }
  return equal ? 0 : 1;
}
