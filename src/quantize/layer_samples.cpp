#include "quantize/layer_samples.h"

#include <algorithm>
#include <cstddef>

#include "graph/float_gemm.h"

namespace trefoil {
namespace {

constexpr int kChunk = 256;  // places at once

}  // namespace

std::vector<SamplePlace> choosePlaces(int images, const Shape& out, std::int64_t wanted) {
  const std::int64_t plane = out.plane();
  const std::int64_t total = plane * images;
  const std::int64_t count = std::min(wanted, total);
  std::vector<SamplePlace> places;
  places.reserve(static_cast<std::size_t>(count));
  const double step = static_cast<double>(total) / static_cast<double>(count);
  double shift = 0;  // multiples of the golden ratio: even, and never in step with rows
  for (std::int64_t i = 0; i < count; ++i) {
    shift += 0.6180339887498949;
    if (shift >= 1) shift -= 1;
    const auto index = std::min<std::int64_t>(
        static_cast<std::int64_t>((static_cast<double>(i) + (count == total ? 0 : shift)) * step), total - 1);
    const auto within = static_cast<int>(index % plane);
    places.push_back({static_cast<int>(index / plane), within / out.width, within % out.width});
  }
  return places;
}

LayerSampler::LayerSampler(const SampleInputs& inputs, std::span<const SamplePlace> places, int first_channel,
                           int channels, double scale)
    : inputs_(inputs), places_(places), first_channel_(first_channel), channels_(channels), scale_(scale) {
  const auto size = static_cast<std::size_t>(channels) * inputs.window.kernel_h * inputs.window.kernel_w;
  means_.assign(size, 0.0F);
  std::vector<double> sums(size), squares(size);
  std::vector<float> patch(size);
  for (const SamplePlace& place : places) {
    gather(place, patch.data());
    for (std::size_t i = 0; i < size; ++i) {
      sums[i] += patch[i];
      squares[i] += double{patch[i]} * patch[i];
    }
  }
  const auto count = static_cast<double>(places.size());
  variances_.resize(size);
  for (std::size_t i = 0; i < size; ++i) {
    const double mean = sums[i] / count;
    means_[i] = static_cast<float>(mean);
    variances_[i] = std::max(0.0, squares[i] / count - mean * mean) * scale * scale;
  }
}

// The patch's integers less their means.
void LayerSampler::gather(const SamplePlace& place, float* patch) const {
  const Window& w = inputs_.window;
  const Shape& shape = inputs_.shape;
  const std::int64_t plane = shape.plane();
  const std::uint8_t* image = inputs_.images.data() + place.image * shape.size() + first_channel_ * plane;
  std::size_t i = 0;
  for (int r = 0; r < w.kernel_h; ++r) {
    const int y = place.y * w.stride_h - w.pad_top + r * w.dilation_h;
    for (int s = 0; s < w.kernel_w; ++s) {
      const int x = place.x * w.stride_w - w.pad_left + s * w.dilation_w;
      if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) {
        for (int c = 0; c < channels_; ++c, ++i)
          patch[i] = static_cast<float>(inputs_.pad_values[first_channel_ + c]) - means_[i];
        continue;
      }
      const std::uint8_t* from = image + std::int64_t{y} * shape.width + x;
      for (int c = 0; c < channels_; ++c, ++i) patch[i] = static_cast<float>(from[c * plane]) - means_[i];
    }
  }
}

bool LayerSampler::measure(std::span<const float> results, int result_stride, int first_filter, int filters,
                           const std::function<bool(double)>& work, LayerMoments* moments) const {
  const auto size = static_cast<std::int64_t>(means_.size());
  moments->size = static_cast<int>(size);
  moments->places = static_cast<std::int64_t>(places_.size());
  moments->images = places_.empty() ? 0 : places_.back().image + 1;
  moments->inputs.assign(static_cast<std::size_t>(size * size), 0.0F);
  moments->outputs.assign(static_cast<std::size_t>(filters * size), 0.0F);
  std::vector<double> result_means(static_cast<std::size_t>(filters));
  for (std::size_t p = 0; p < places_.size(); ++p) {
    const float* row = results.data() + p * result_stride + first_filter;
    for (int k = 0; k < filters; ++k) result_means[k] += row[k];
  }
  for (double& mean : result_means) mean /= static_cast<double>(places_.size());

  std::vector<float> patch(static_cast<std::size_t>(size));
  std::vector<float> rows(static_cast<std::size_t>(size) * kChunk);        // [place][column]
  std::vector<float> columns(static_cast<std::size_t>(size) * kChunk);     // [column][place]
  std::vector<float> outputs(static_cast<std::size_t>(filters) * kChunk);  // [filter][place]
  const auto scale = static_cast<float>(scale_);
  for (std::size_t first = 0; first < places_.size(); first += kChunk) {
    const auto count = static_cast<int>(std::min<std::size_t>(kChunk, places_.size() - first));
    for (int p = 0; p < count; ++p) {
      gather(places_[first + p], patch.data());
      float* row = rows.data() + p * size;
      for (std::int64_t j = 0; j < size; ++j) row[j] = patch[moments->order[j]] * scale;
      for (std::int64_t j = 0; j < size; ++j) columns[j * kChunk + p] = row[j];
      const float* result = results.data() + (first + p) * result_stride + first_filter;
      for (int k = 0; k < filters; ++k)
        outputs[static_cast<std::size_t>(k) * kChunk + p] = static_cast<float>(result[k] - result_means[k]);
    }
    for (std::int64_t j = 0; j < size; j += kChunk) {
      const std::int64_t width = std::min<std::int64_t>(kChunk, size - j);
      const MatrixRows right = [&](std::int64_t k, std::int64_t at, int, float*) {
        return rows.data() + k * size + j + at;
      };
      multiplyAdd(j + width, width, count, columns.data(), kChunk, right, moments->inputs.data() + j, size);
      multiplyAdd(filters, width, count, outputs.data(), kChunk, right, moments->outputs.data() + j, size);
    }
    if (!work(static_cast<double>(size) * count * (0.5 * static_cast<double>(size) + filters))) return false;
  }
  const auto share = static_cast<float>(1.0 / static_cast<double>(places_.size()));
  for (float& m : moments->inputs) m *= share;
  for (float& m : moments->outputs) m *= share;
  return true;
}

}  // namespace trefoil
