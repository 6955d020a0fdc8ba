#include "onnx/wire.h"

#include <limits>
#include <protozero/pbf_reader.hpp>

#include "onnx/wire_reader.h"

namespace trefoil::onnx {
namespace {

// Messages, names and numbers that one model may hold outside its tensors; a node counts as some, as it takes
// more memory. Real networks have some thousands; the limit keeps a file of empty messages from growing a
// hundredfold.
constexpr std::int64_t kMaxItems = 1 << 20;
constexpr std::int64_t kNodeItems = 16;

// Thrown and caught in this file, as protozero's own exceptions are.
struct Malformed {
  std::string why;
};

class Parser {
 public:
  WireModel model(std::string_view bytes) {
    WireModel model;
    bool has_graph = false;
    for (WireReader in(bytes); in.next();) {
      switch (in.field()) {
        case wireField(7, kBytes):
          if (has_graph) throw Malformed{"it holds two graphs"};
          has_graph = true;
          graph(in.view(), &model);
          break;
        case wireField(8, kBytes):
          opset(in.view(), &model);
          break;
        default:
          in.skip();
      }
    }
    return model;
  }

 private:
  void count(std::int64_t items = 1) {
    items_ += items;
    if (items_ > kMaxItems) throw Malformed{"it holds far more nodes, names or numbers than a network does"};
  }

  void opset(std::string_view bytes, WireModel* model) {
    count();
    std::string_view domain;
    std::int64_t version = 0;
    for (WireReader in(bytes); in.next();) {
      switch (in.field()) {
        case wireField(1, kBytes):
          domain = in.view();
          break;
        case wireField(2, kVarint):
          version = in.integer();
          break;
        default:
          in.skip();
      }
    }
    if (domain.empty() || domain == "ai.onnx") model->opset = version;
  }

  void graph(std::string_view bytes, WireModel* model) {
    for (WireReader in(bytes); in.next();) {
      switch (in.field()) {
        case wireField(1, kBytes):
          model->nodes.push_back(node(in.view()));
          break;
        case wireField(2, kBytes):
          model->graph_name = in.view();
          break;
        case wireField(5, kBytes):
          model->initializers.push_back(tensor(in.view()));
          break;
        case wireField(11, kBytes):
          model->inputs.push_back(value(in.view()));
          break;
        case wireField(12, kBytes):
          model->outputs.push_back(value(in.view()));
          break;
        default:
          in.skip();
      }
    }
  }

  WireNode node(std::string_view bytes) {
    count(kNodeItems);
    WireNode node;
    for (WireReader in(bytes); in.next();) {
      switch (in.field()) {
        case wireField(1, kBytes):
          count();
          node.inputs.push_back(in.view());
          break;
        case wireField(2, kBytes):
          count();
          node.outputs.push_back(in.view());
          break;
        case wireField(3, kBytes):
          node.name = in.view();
          break;
        case wireField(4, kBytes):
          node.type = in.view();
          break;
        case wireField(5, kBytes):
          node.attributes.push_back(attribute(in.view()));
          break;
        case wireField(7, kBytes):
          node.domain = in.view();
          break;
        default:
          in.skip();
      }
    }
    return node;
  }

  WireAttribute attribute(std::string_view bytes) {
    count();
    WireAttribute attribute;
    for (WireReader in(bytes); in.next();) {
      switch (in.field()) {
        case wireField(1, kBytes):
          attribute.name = in.view();
          break;
        case wireField(2, kFixed32):
          attribute.real = in.real();
          break;
        case wireField(3, kVarint):
          attribute.integer = in.integer();
          break;
        case wireField(4, kBytes):
          attribute.text = in.view();
          break;
        case wireField(5, kBytes):
          attribute.tensor = tensor(in.view());
          break;
        case wireField(7, kFixed32):
          count();
          attribute.reals.push_back(in.real());
          break;
        case wireField(7, kBytes):
          for (const float value : in.packedReals()) {
            count();
            attribute.reals.push_back(value);
          }
          break;
        case wireField(8, kVarint):
        case wireField(8, kBytes):
          integers(&in, &attribute.integers);
          break;
        default:
          in.skip();
      }
    }
    return attribute;
  }

  void integers(WireReader* in, Dims* values) {
    if (in->field() % 8 == static_cast<std::uint32_t>(kVarint)) {
      count();
      values->push_back(in->integer());
      return;
    }
    for (const std::int64_t value : in->packedIntegers()) {
      count();
      values->push_back(value);
    }
  }

  WireTensor tensor(std::string_view bytes) {
    count();
    WireTensor tensor;
    tensor.bytes = bytes;
    for (WireReader in(bytes); in.next();) {
      switch (in.field()) {
        case wireField(1, kVarint):
        case wireField(1, kBytes):
          integers(&in, &tensor.dims);
          break;
        case wireField(2, kVarint):
          tensor.type = in.enumeration();
          break;
        case wireField(8, kBytes):
          tensor.name = in.view();
          break;
        case wireField(9, kBytes):
          tensor.raw = in.view();
          break;
        case wireField(13, kBytes):
          tensor.external = true;
          in.skip();
          break;
        case wireField(14, kVarint):
          tensor.external = in.enumeration() == 1 || tensor.external;
          break;
        default:
          in.skip();
      }
    }
    if (tensor.dims.size() > kMaxRank) {
      throw Malformed{"tensor " + quoted(tensor.name) + " has more than " + std::to_string(kMaxRank) +
                      " dimensions"};
    }
    return tensor;
  }

  WireValue value(std::string_view bytes) {
    count();
    WireValue value;
    for (WireReader in(bytes); in.next();) {
      switch (in.field()) {
        case wireField(1, kBytes):
          value.name = in.view();
          break;
        case wireField(2, kBytes):
          type(in.view(), &value);
          break;
        default:
          in.skip();
      }
    }
    return value;
  }

  void type(std::string_view bytes, WireValue* value) {
    for (WireReader in(bytes); in.next();) {
      if (in.field() != wireField(1, kBytes)) {
        in.skip();
        continue;
      }
      for (WireReader tensor(in.view()); tensor.next();) {
        if (tensor.field() == wireField(2, kBytes)) {
          shape(tensor.view(), value);
        } else {
          tensor.skip();
        }
      }
    }
  }

  void shape(std::string_view bytes, WireValue* value) {
    value->has_shape = true;
    value->dims.clear();
    for (WireReader in(bytes); in.next();) {
      if (in.field() != wireField(1, kBytes)) {
        in.skip();
        continue;
      }
      count();
      std::int64_t size = kSymbolic;
      for (WireReader dim(in.view()); dim.next();) {
        if (dim.field() == wireField(1, kVarint)) {
          size = dim.integer();
        } else {
          dim.skip();
        }
      }
      value->dims.push_back(size > 0 ? size
                                     : kSymbolic);  // some exporters write 0 or -1 for an open dimension
    }
  }

  std::int64_t items_ = 0;
};

}  // namespace

const WireAttribute* WireNode::find(std::string_view attribute) const {
  for (const WireAttribute& candidate : attributes) {
    if (candidate.name == attribute) return &candidate;
  }
  return nullptr;
}

std::int64_t WireNode::integer(std::string_view attribute, std::int64_t fallback) const {
  const WireAttribute* found = find(attribute);
  return found != nullptr ? found->integer : fallback;
}

float WireNode::real(std::string_view attribute, float fallback) const {
  const WireAttribute* found = find(attribute);
  return found != nullptr ? found->real : fallback;
}

std::string_view WireNode::text(std::string_view attribute, std::string_view fallback) const {
  const WireAttribute* found = find(attribute);
  return found != nullptr ? found->text : fallback;
}

Result<WireModel> parseModel(std::span<const std::byte> bytes) {
  const auto bad = [](std::string_view why) {
    return makeError(ErrorCode::kBadOnnx, "the file is not a readable ONNX model: " + std::string(why));
  };
  if (bytes.empty()) return bad("it is empty");
  // Protobuf messages end here; the reader's lengths are 32-bit.
  if (bytes.size() > std::size_t{std::numeric_limits<std::int32_t>::max()})
    return bad("it is larger than 2 GiB");
  try {
    return Parser().model({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } catch (const protozero::exception&) {
    return bad("it breaks off or is damaged; fetch or export it again");
  } catch (const Malformed& malformed) {
    return bad(malformed.why);
  }
}

}  // namespace trefoil::onnx
