#include "image/image.h"

#include <algorithm>
#include <string>

#include "image/resample.h"

namespace trefoil {
namespace {

// Rows resized along one axis and not yet along the other. Reached only by images that are thousands of times
// longer than wide.
constexpr std::int64_t kMaxIntermediate = std::int64_t{1} << 27;

struct Size {
  std::int64_t height = 0;
  std::int64_t width = 0;
};

Result<void> checkImage(const ImageView& image) {
  if (image.channels != 1 && image.channels != 3 && image.channels != 4) {
    return makeError(ErrorCode::kBadImage, "an image has " + std::to_string(image.channels) +
                                               " channels; gray (1), RGB (3) and RGBA (4) work");
  }
  if (image.width < 1 || image.height < 1 || image.width > kMaxDimension || image.height > kMaxDimension) {
    return makeError(ErrorCode::kBadImage, "an image of " + std::to_string(image.width) + "x" +
                                               std::to_string(image.height) + " pixels; 1 to " +
                                               std::to_string(kMaxDimension) + " a side are possible");
  }
  const auto needed = static_cast<std::uint64_t>(image.width) * static_cast<std::uint64_t>(image.height) *
                      static_cast<std::uint64_t>(image.channels);
  if (image.pixels.size() != needed) {
    return makeError(ErrorCode::kBadImage,
                     "an image of " + std::to_string(image.width) + "x" + std::to_string(image.height) +
                         " with " + std::to_string(image.channels) + " channels needs " +
                         std::to_string(needed) + " bytes, got " + std::to_string(image.pixels.size()));
  }
  return {};
}

Result<void> checkPreprocess(const Preprocess& p, int channels) {
  if (channels != 1 && channels != 3) {
    return makeError(ErrorCode::kBadOption,
                     "planes for " + std::to_string(channels) + " channels; 1 and 3 are possible");
  }
  if (p.crop_height < 1 || p.crop_width < 1 || p.crop_height > kMaxDimension ||
      p.crop_width > kMaxDimension || std::int64_t{p.crop_height} * p.crop_width * channels > kMaxElements) {
    return makeError(ErrorCode::kBadOption, "a crop of " + std::to_string(p.crop_width) + "x" +
                                                std::to_string(p.crop_height) + " is out of range");
  }
  if (p.resize < 0 || p.resize > kMaxDimension) {
    return makeError(ErrorCode::kBadOption, "a resize to " + std::to_string(p.resize) +
                                                " pixels is out of range (0 to " +
                                                std::to_string(kMaxDimension) + ")");
  }
  if (p.letterbox && p.resize != 0) {
    return makeError(ErrorCode::kBadOption, "a letterbox keeps all of the picture: leave the resize out");
  }
  return {};
}

// a / b as Python's round() has it: halves to the even neighbour.
std::int64_t roundedQuotient(std::int64_t a, std::int64_t b) {
  const std::int64_t rounded_up = (2 * a + b) / (2 * b);
  const bool half = (2 * a + b) % (2 * b) == 0;
  return rounded_up - (half && rounded_up % 2 != 0 ? 1 : 0);
}

// The largest size of the picture's proportions that fits into the network's input.
Size containedSize(const ImageView& image, const Preprocess& p) {
  const std::int64_t h = image.height;
  const std::int64_t w = image.width;
  if (w * p.crop_height > p.crop_width * h)
    return {std::max<std::int64_t>(1, roundedQuotient(h * p.crop_width, w)), p.crop_width};
  return {p.crop_height, std::max<std::int64_t>(1, roundedQuotient(w * p.crop_height, h))};
}

// The size to resize to, at least as large as the crop.
Size coveringSize(const ImageView& image, const Preprocess& p) {
  const std::int64_t h = image.height;
  const std::int64_t w = image.width;
  if (p.resize == 0) return {p.crop_height, p.crop_width};
  const Size size = h <= w ? Size{p.resize, p.resize * w / h} : Size{p.resize * h / w, p.resize};
  if (size.height >= p.crop_height && size.width >= p.crop_width) return size;
  // The crop is larger than what the resize leaves: cover it rather than pad it.
  if (p.crop_height * w >= p.crop_width * h)
    return {p.crop_height, std::max<std::int64_t>(p.crop_width, p.crop_height * w / h)};
  return {std::max<std::int64_t>(p.crop_height, p.crop_width * h / w), p.crop_width};
}

// Along one axis: which pixels of the resized picture are seen, and where in the input they come to lie.
struct Placement {
  Placement(std::int64_t resized, int input)
      : first(resized > input ? roundedQuotient(resized - input, 2) : 0),
        count(static_cast<int>(std::min<std::int64_t>(resized, input))),
        place(static_cast<std::size_t>(roundedQuotient(input - count, 2))) {}
  std::int64_t first;
  int count;
  std::size_t place;
};

std::uint8_t roundWeighted(std::int32_t sum) {
  const std::int32_t value = (sum + (1 << (kWeightBits - 1))) >> kWeightBits;
  return static_cast<std::uint8_t>(std::clamp(value, 0, 255));
}

// One row of an image to planar bytes: gray, or red, green and blue.
void unpackRow(const ImageView& image, int row, int channels, std::uint8_t* out) {
  const std::size_t width = static_cast<std::size_t>(image.width);
  const std::size_t step = static_cast<std::size_t>(image.channels);
  const std::uint8_t* in = image.pixels.data() + static_cast<std::size_t>(row) * width * step;
  if (channels == 1 && image.channels != 1) {
    for (std::size_t x = 0; x < width; ++x, in += step) {
      out[x] = static_cast<std::uint8_t>((in[0] * 19595 + in[1] * 38470 + in[2] * 7471 + 0x8000) >> 16);
    }
    return;
  }
  for (int c = 0; c < channels; ++c) {
    const std::uint8_t* from = in + (image.channels == 1 ? 0 : c);
    for (std::size_t x = 0; x < width; ++x) out[x] = from[x * step];
    out += width;
  }
}

void resizeRow(const std::uint8_t* in, const ResampleAxis& axis, std::uint8_t* out) {
  for (std::size_t x = 0; x < axis.starts.size(); ++x) {
    const std::uint8_t* from = in + axis.starts[x];
    const std::int32_t* weights = axis.weights.data() + x * axis.stride;
    std::int32_t sum = 0;
    for (int t = 0; t < axis.counts[x]; ++t) sum += from[t] * weights[t];
    out[x] = roundWeighted(sum);
  }
}

}  // namespace

Result<std::vector<std::uint8_t>> toPlanes(const ImageView& image, const Preprocess& preprocess,
                                           int channels) {
  TREFOIL_RETURN_IF_ERROR(checkImage(image));
  TREFOIL_RETURN_IF_ERROR(checkPreprocess(preprocess, channels));
  const Size size = preprocess.letterbox ? containedSize(image, preprocess) : coveringSize(image, preprocess);
  const Placement across(size.width, preprocess.crop_width);
  const Placement down(size.height, preprocess.crop_height);
  // Only what is seen is computed; a pixel does not depend on how many others are.
  const ResampleAxis columns = makeResampleAxis(image.width, size.width, across.first, across.count);
  const ResampleAxis rows = makeResampleAxis(image.height, size.height, down.first, down.count);

  const int first_row = rows.starts.front();
  const int row_count = rows.starts.back() + rows.counts.back() - first_row;
  const auto input_width = static_cast<std::size_t>(preprocess.crop_width);
  const std::size_t input_plane = static_cast<std::size_t>(preprocess.crop_height) * input_width;
  const auto width = static_cast<std::size_t>(across.count);
  const std::int64_t plane = std::int64_t{row_count} * across.count;
  if (plane * channels > kMaxIntermediate) {
    return makeError(ErrorCode::kBadImage,
                     "an image of " + std::to_string(image.width) + "x" + std::to_string(image.height) +
                         " is too long and thin for a crop of " + std::to_string(preprocess.crop_width) +
                         "x" + std::to_string(preprocess.crop_height));
  }

  // Across, then down, with bytes in between, as Pillow does.
  std::vector<std::uint8_t> wide(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(channels));
  std::vector<std::uint8_t> narrow(static_cast<std::size_t>(plane * channels));
  for (int y = 0; y < row_count; ++y) {
    unpackRow(image, first_row + y, channels, wide.data());
    for (int c = 0; c < channels; ++c) {
      resizeRow(wide.data() + static_cast<std::size_t>(c) * static_cast<std::size_t>(image.width), columns,
                narrow.data() + static_cast<std::size_t>(c * plane) + static_cast<std::size_t>(y) * width);
    }
  }

  std::vector<std::uint8_t> planes(static_cast<std::size_t>(channels) * input_plane);
  std::vector<std::int32_t> sums(width);
  for (int c = 0; c < channels; ++c) {
    std::uint8_t* out = planes.data() + static_cast<std::size_t>(c) * input_plane;
    std::fill_n(out, input_plane, preprocess.bars[c]);
    out += down.place * input_width + across.place;
    const int source = preprocess.bgr ? channels - 1 - c : c;
    for (std::size_t y = 0; y < rows.starts.size(); ++y, out += input_width) {
      std::fill(sums.begin(), sums.end(), 0);
      const std::uint8_t* from = narrow.data() + static_cast<std::size_t>(source * plane) +
                                 static_cast<std::size_t>(rows.starts[y] - first_row) * width;
      for (int t = 0; t < rows.counts[y]; ++t, from += width) {
        const std::int32_t weight = rows.weights[y * rows.stride + static_cast<std::size_t>(t)];
        for (std::size_t x = 0; x < width; ++x) sums[x] += from[x] * weight;
      }
      for (std::size_t x = 0; x < width; ++x) out[x] = roundWeighted(sums[x]);
    }
  }
  return planes;
}

std::vector<float> normalize(std::span<const std::uint8_t> planes, int channels,
                             const Preprocess& preprocess) {
  std::vector<float> values(planes.size());
  const std::size_t plane = planes.size() / static_cast<std::size_t>(std::max(channels, 1));
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const std::size_t c = plane == 0 ? 0 : std::min<std::size_t>(i / plane, 2);
    values[i] = (static_cast<float>(planes[i]) / 255.0F - preprocess.mean[c]) / preprocess.std[c];
  }
  return values;
}

}  // namespace trefoil
