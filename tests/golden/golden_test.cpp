// Committed .trefoil files give the committed logits, in every build and with every kernel. The same list is
// checked in Node and in Chromium (golden.ts), so that one hash holds everywhere. `node
// tests/golden/make.mjs` renews the files.
#include <doctest/doctest.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "format/format.h"
#include "runtime/session.h"

namespace {

using namespace trefoil;

// xorshift32 and FNV-1a, as in golden.ts.
std::vector<std::uint8_t> goldenImage(std::size_t size, std::uint32_t seed) {
  std::vector<std::uint8_t> image(size);
  for (auto& value : image) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    value = static_cast<std::uint8_t>(seed >> 24);
  }
  return image;
}

std::string hashLogits(Session& session, int images) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (int i = 1; i <= images; ++i) {
    const auto logits = session.run(
        goldenImage(static_cast<std::size_t>(session.inputShape().size()), static_cast<std::uint32_t>(i)));
    REQUIRE(logits.ok());
    for (const std::int32_t logit : *logits) {
      for (int byte = 0; byte < 4; ++byte) {
        hash = (hash ^ ((static_cast<std::uint32_t>(logit) >> (8 * byte)) & 255U)) * 0x100000001b3ULL;
      }
    }
  }
  std::ostringstream hex;
  hex << std::hex << hash;
  return std::string(16 - hex.str().size(), '0') + hex.str();
}

TEST_CASE("golden models give their golden logits with every kernel and number of threads") {
  const std::string folder = std::string(TREFOIL_SOURCE_DIR) + "/tests/golden/";
  std::ifstream list(folder + "golden.txt");
  REQUIRE(list.good());
  std::string file;
  std::string hash;
  int images = 0;
  int checked = 0;
  while (list >> file >> images >> hash) {
    CAPTURE(file);
    std::ifstream stream(folder + file, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
    REQUIRE(!bytes.empty());
    for (const auto& [threads, scalar] :
         {std::pair(1, false), {1, true}, {2, false}, {2, true}, {3, false}}) {
      auto model = readModel(std::as_bytes(std::span(bytes)));
      REQUIRE(model.ok());
      SessionOptions options;
      options.threads = threads;
      if (scalar) options.variants["*"] = "scalar";
      auto session = Session::create(std::move(*model), options);
      REQUIRE(session.ok());
      CAPTURE(scalar);
      CAPTURE(threads);
      CHECK(hashLogits(**session, images) == hash);
    }
    ++checked;
  }
  CHECK(checked >= 3);
}

}  // namespace
