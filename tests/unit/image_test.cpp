#include "image/image.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

using namespace trefoil;

std::vector<std::uint8_t> pattern(int width, int height, int channels) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        pixels.push_back(static_cast<std::uint8_t>(c == 3 ? 77 : x * 37 + y * 91 + c * 53 + x * y % 17 * 11));
      }
    }
  }
  return pixels;
}

Preprocess crop(int resize, int height, int width) {
  Preprocess preprocess;
  preprocess.resize = resize;
  preprocess.crop_height = height;
  preprocess.crop_width = width;
  return preprocess;
}

Preprocess letterbox(int height, int width) {
  Preprocess preprocess = crop(0, height, width);
  preprocess.letterbox = true;
  return preprocess;
}

std::uint64_t fnv(const std::vector<std::uint8_t>& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3ULL;
  return hash;
}

TEST_SUITE("image") {
  TEST_CASE("resizing and cropping give the bytes of Pillow and torchvision") {
    // From Pillow 9.4 in a throw-away script: Image.resize((w, h), BILINEAR) to the size that torchvision's
    // Resize computes (int(resize * long / short)), then its CenterCrop (int(round((h - crop) / 2.0))), as
    // planes, hashed by FNV-1a; the first bytes beside it for whoever has to debug this. The last three leave
    // less than the crop and are resized to cover it instead. 1500 random sizes, contents and options gave
    // equal bytes as well.
    struct Case {
      int width, height, resize, crop_height, crop_width;
      std::uint64_t hash;
      std::vector<std::uint8_t> first;
    };
    const Case cases[] = {
        {13, 9, 6, 4, 5, 0x80675bab5918a663, {132, 128, 111, 103, 71, 130, 133, 141, 140, 77, 147, 128}},
        {3, 2, 0, 5, 7, 0x3a31801dd8c324d8, {0, 5, 21, 37, 53, 69, 74, 9, 14, 31, 47, 64}},
        {200,
         150,
         64,
         56,
         56,
         0xb84daa07b710eea7,
         {124, 145, 157, 120, 159, 104, 140, 129, 144, 136, 107, 104}},
        {150,
         333,
         97,
         64,
         80,
         0xffaf3e79924fd2b6,
         {182, 105, 118, 114, 113, 114, 123, 162, 156, 28, 66, 108}},
        {64, 64, 0, 64, 64, 0x2630e8824d3f595, {0, 37, 74, 111, 148, 185, 222, 3, 40, 77, 114, 151}},
        {31, 47, 0, 224, 224, 0x630145b60e8b67a5, {0, 0, 0, 0, 5, 10, 15, 20, 25, 30, 35, 40}},
        {13, 9, 3, 8, 5, 0xa277d084dbef8a99, {130, 158, 182, 39, 67, 117}},
        {40, 30, 16, 32, 32, 0x4467b6b9a22fcb03, {175, 211, 81, 25, 60, 96}},
        {9, 30, 4, 32, 5, 0x4852b58351beed2d, {74, 111, 148, 185, 222, 176}},
    };
    for (const Case& c : cases) {
      CAPTURE(c.width);
      CAPTURE(c.height);
      for (const int channels : {3, 4}) {  // alpha changes nothing
        const auto pixels = pattern(c.width, c.height, channels);
        const auto planes =
            toPlanes({pixels, c.width, c.height, channels}, crop(c.resize, c.crop_height, c.crop_width));
        REQUIRE(planes.ok());
        REQUIRE(planes->size() == static_cast<std::size_t>(3 * c.crop_height * c.crop_width));
        CHECK(std::equal(c.first.begin(), c.first.end(), planes->begin()));
        CHECK(fnv(*planes) == c.hash);
      }
    }
  }

  TEST_CASE("a letterbox and blue, green, red give the bytes of Pillow") {
    // ImageOps.pad(image, (w, h), BILINEAR, color=bars), of the image with its bands in reverse for BGR, as
    // above. 1337 random sizes, bars and orders gave equal bytes as well.
    struct Case {
      int width, height, input_height, input_width;
      bool bgr;
      std::uint8_t bars[3];
      std::uint64_t hash;
    };
    const Case cases[] = {
        {40, 30, 24, 24, false, {114, 114, 114}, 0x9a4bb8ad7a5b28a5},
        {13, 50, 32, 21, false, {1, 2, 3}, 0x3827d22b030f56c9},
        {61, 20, 40, 33, true, {9, 200, 30}, 0x3586d023dde5dfc4},
        {7, 7, 9, 16, true, {0, 255, 7}, 0xa8c9b6155f8b932d},
    };
    for (const Case& c : cases) {
      CAPTURE(c.width);
      Preprocess preprocess = letterbox(c.input_height, c.input_width);
      std::copy_n(c.bars, 3, preprocess.bars);
      preprocess.bgr = c.bgr;
      const auto planes = toPlanes({pattern(c.width, c.height, 4), c.width, c.height, 4}, preprocess);
      REQUIRE(planes.ok());
      CHECK(fnv(*planes) == c.hash);
    }
  }

  TEST_CASE("a letterbox of a line that is too thin to be seen shows one row of it") {
    const std::vector<std::uint8_t> line(1 << 16, 9);
    const auto planes = toPlanes({line, 1 << 16, 1, 1}, letterbox(4, 3), 1);
    REQUIRE(planes.ok());
    // 1.5 rows are left over: halves go to the even neighbour.
    CHECK(*planes == std::vector<std::uint8_t>{114, 114, 114, 114, 114, 114, 9, 9, 9, 114, 114, 114});
    const auto upright = toPlanes({line, 1, 1 << 16, 1}, letterbox(2, 5), 1);
    REQUIRE(upright.ok());
    CHECK(*upright == std::vector<std::uint8_t>{114, 114, 9, 114, 114, 114, 114, 9, 114, 114});
  }

  TEST_CASE("a gray network takes the first colour of the bars, and no order of channels") {
    Preprocess preprocess = letterbox(1, 3);
    preprocess.bars[0] = 5;
    preprocess.bgr = true;
    const auto planes = toPlanes({std::vector<std::uint8_t>{255, 0, 0}, 1, 1, 3}, preprocess, 1);
    REQUIRE(planes.ok());
    CHECK(*planes == std::vector<std::uint8_t>{5, 76, 5});
  }

  TEST_CASE("one channel gives the bytes of Pillow's convert('L') and resize") {
    using Bytes = std::vector<std::uint8_t>;
    const auto luma = [](int width, int height, int channels, Preprocess preprocess) {
      const auto pixels = pattern(width, height, channels);
      const auto planes = toPlanes({pixels, width, height, channels}, preprocess, 1);
      REQUIRE(planes.ok());
      return *planes;
    };
    CHECK(luma(7, 5, 3, crop(3, 3, 3)) == Bytes{103, 141, 142, 141, 128, 125, 137, 122, 134});
    CHECK(luma(5, 4, 1, crop(0, 2, 3)) == Bytes{84, 126, 126, 125, 137, 127});
    CHECK(luma(3, 2, 4, crop(0, 4, 4)) ==
          Bytes{43, 66, 94, 117, 66, 91, 118, 138, 111, 140, 165, 180, 134, 164, 189, 201});
    CHECK(fnv(luma(100, 75, 3, crop(64, 57, 56))) == 0xdb0c17f92e24a493);
  }

  TEST_CASE("gray and colour convert into one another") {
    const auto gray = pattern(5, 4, 1);
    const auto planes = toPlanes({gray, 5, 4, 1}, crop(0, 4, 5), 3);
    REQUIRE(planes.ok());
    for (std::size_t i = 0; i < 60; ++i) CHECK((*planes)[i] == gray[i % 20]);

    const std::vector<std::uint8_t> colour{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
    const auto luma = toPlanes({colour, 4, 1, 3}, crop(0, 1, 4), 1);
    REQUIRE(luma.ok());
    CHECK(*luma == std::vector<std::uint8_t>{76, 150, 29, 255});  // Pillow's convert('L')
  }

  TEST_CASE("bad images and options are refused") {
    const auto pixels = pattern(4, 4, 3);
    const auto code = [&](ImageView view, Preprocess preprocess, int channels = 3) {
      const auto result = toPlanes(view, preprocess, channels);
      REQUIRE(!result.ok());
      CHECK(!result.error().message.empty());
      return result.error().code;
    };
    CHECK(code({pixels, 4, 5, 3}, crop(0, 4, 4)) == ErrorCode::kBadImage);
    CHECK(code({pixels, 4, 4, 2}, crop(0, 4, 4)) == ErrorCode::kBadImage);
    CHECK(code({{}, 0, 0, 3}, crop(0, 4, 4)) == ErrorCode::kBadImage);
    CHECK(code({pixels, -4, -4, 3}, crop(0, 4, 4)) == ErrorCode::kBadImage);
    const int huge = std::numeric_limits<int>::max();
    CHECK(code({pixels, huge, huge, 4}, crop(0, 4, 4)) == ErrorCode::kBadImage);
    CHECK(code({pixels, 4, 4, 3}, crop(0, 0, 4)) == ErrorCode::kBadOption);
    CHECK(code({pixels, 4, 4, 3}, crop(-1, 4, 4)) == ErrorCode::kBadOption);
    CHECK(code({pixels, 4, 4, 3}, crop(0, huge, huge)) == ErrorCode::kBadOption);
    CHECK(code({pixels, 4, 4, 3}, crop(huge, 4, 4)) == ErrorCode::kBadOption);
    CHECK(code({pixels, 4, 4, 3}, crop(0, 4, 4), 2) == ErrorCode::kBadOption);
    Preprocess resized = letterbox(4, 4);
    resized.resize = 4;
    CHECK(code({pixels, 4, 4, 3}, resized) == ErrorCode::kBadOption);
    const std::vector<std::uint8_t> line(1 << 20);
    CHECK(code({line, 1, 1 << 20, 1}, crop(0, 224, 224)) ==
          ErrorCode::kBadImage);  // too thin: needs 700 MB in between
  }

  TEST_CASE("very long images work where only a part of them is needed") {
    const std::vector<std::uint8_t> line(1 << 16, 9);
    const auto planes = toPlanes({line, 1, 1 << 16, 1}, crop(256, 224, 224));
    REQUIRE(planes.ok());
    CHECK(std::all_of(planes->begin(), planes->end(), [](int v) { return v == 9; }));
  }

  TEST_CASE("normalize applies mean and deviation channel by channel") {
    Preprocess preprocess;
    const float mean[3] = {.485F, .456F, .406F};
    const float deviation[3] = {.229F, .224F, .225F};
    std::copy_n(mean, 3, preprocess.mean);
    std::copy_n(deviation, 3, preprocess.std);
    const std::vector<std::uint8_t> planes{0, 255, 100, 200, 50, 150};
    const auto values = normalize(planes, 3, preprocess);
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(values[i] == doctest::Approx((planes[i] / 255.0 - mean[i / 2]) / deviation[i / 2]));
    }
  }

}  // TEST_SUITE

}  // namespace
