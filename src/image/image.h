// Images to the network's u8 input: resize, crop, planes. Integer arithmetic, so every engine makes the same
// bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/shape.h"

namespace trefoil {

// How a picture becomes the network's input. The network sees x = (p / 255 - mean) / std, channel by channel;
// the integer runtime takes p itself and has mean and std folded into its first layer. What has three entries
// has them in the network's order of channels; a gray network takes the first.
struct Preprocess {
  int resize = 0;  // the shorter side is brought to this many pixels; 0: straight to crop_height x crop_width
  int crop_height = 0, crop_width = 0;  // then the centre of this size is cut out: the network's input size
  // In place of both, with a resize of 0: the largest size of the picture's own proportions that fits
  // into crop_height x crop_width, in the middle, and `bars` around it.
  bool letterbox = false;
  std::uint8_t bars[3] = {114, 114, 114};
  bool bgr = false;  // the network's channels are blue, green, red
  float mean[3] = {0, 0, 0};
  float std[3] = {1, 1, 1};
  bool operator==(const Preprocess&) const = default;
};

struct ImageView {
  std::span<const std::uint8_t>
      pixels;  // rows from the top; RGB or RGBA interleaved (alpha is ignored), or gray
  int width = 0;
  int height = 0;
  int channels = 4;  // 1, 3 or 4
};

// Antialiased triangle-filter resize (the filter of Pillow's BILINEAR, weights rounded to 22 bits), then a
// centre crop (torchvision's CenterCrop) or bars (Pillow's ImageOps.pad), to planes of crop_height x
// crop_width bytes. `channels` of the result: 3 (gray is repeated) or 1 (luma by ITU-R BT.601 in integers).
// Safe for untrusted sizes. Errors: kBadImage, kBadOption.
Result<std::vector<std::uint8_t>> toPlanes(const ImageView& image, const Preprocess& preprocess,
                                           int channels = 3);

// (p / 255 - mean) / std for planes made by toPlanes().
std::vector<float> normalize(std::span<const std::uint8_t> planes, int channels,
                             const Preprocess& preprocess);

}  // namespace trefoil
