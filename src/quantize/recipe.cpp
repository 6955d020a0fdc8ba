#include "quantize/recipe.h"

#include <charconv>
#include <cmath>

#include "base/shape.h"
#include "quantize/json.h"

namespace trefoil {
namespace {

Error badOption(std::string message) { return makeError(ErrorCode::kBadOption, std::move(message)); }

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

std::string_view methodName(Method method) {
  switch (method) {
    case Method::kFgq:
      return "fgq";
    case Method::kFgqTwoSided:
      return "fgq-two-sided";
    case Method::kCompensated:
      return "compensated";
  }
  return "fgq";
}

std::string_view weightKindName(WeightKind kind) { return kind == WeightKind::kInt8 ? "int8" : "ternary"; }

std::string_view clipName(ClipRule rule) {
  switch (rule) {
    case ClipRule::kMse:
      return "mse";
    case ClipRule::kMax:
      return "max";
    case ClipRule::kPercentile:
      return "percentile";
  }
  return "mse";
}

Result<void> checkBits(std::string_view what, int bits) {
  if (bits >= 4 && bits <= 8) return {};
  return badOption(std::string(what) + " is " + std::to_string(bits) + "; it must be 4 to 8 bits");
}

Result<void> checkGroupSize(int group_size) {
  if (group_size == kWholeFilter || (group_size >= 1 && group_size <= kMaxDimension)) return {};
  return badOption("group size is " + std::to_string(group_size) + "; it must be 1 to " +
                   std::to_string(kMaxDimension) + " channels, or the whole filter");
}

std::string_view levelKindName(LevelKind kind) {
  switch (kind) {
    case LevelKind::kFitted:
      return "fitted";
    case LevelKind::kPowersOf2:
      return "powers-of-2";
    case LevelKind::kPowersOfSqrt2:
      return "powers-of-sqrt-2";
  }
  return "fitted";
}

Result<void> checkScaleLevels(int levels) {
  if (levels == kFreeScales || levels == 2 || levels == 4 || levels == 8) return {};
  return badOption("scale levels are " + std::to_string(levels) + "; they must be 2, 4, 8 or free");
}

Result<void> checkPlanes(int planes) {
  if (planes == 1 || planes == 2) return {};
  return badOption("planes are " + std::to_string(planes) + "; there may be 1 or 2");
}

Result<void> checkAim(const Recipe& recipe) {
  if (recipe.aim == Aim::kUniform) return {};
  const Recipe usual;
  const bool own = recipe.method == usual.method && recipe.group_size == usual.group_size &&
                   recipe.scale_levels == usual.scale_levels && recipe.level_kind == usual.level_kind &&
                   recipe.planes == usual.planes;
  if (!own) {
    return badOption(
        "a recipe that chooses each layer's weights goes without group size, scale levels, level "
        "kind, planes and method for all");
  }
  if (recipe.aim == Aim::kProtect || (std::isfinite(recipe.target) && recipe.target > 0)) return {};
  return badOption("the recipe's bytes, top1Loss or milliseconds must be a number above 0");
}

// A whole decimal number and nothing else.
bool parseInt(std::string_view text, int* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

Result<void> setLayerKey(std::string_view key, std::string_view value, LayerRecipe* layer) {
  if (key == "weights") {
    if (value != "int8" && value != "ternary") {
      return badOption("weights=" + std::string(value) + " is unknown; use weights=int8 or weights=ternary");
    }
    layer->weights = value == "int8" ? WeightKind::kInt8 : WeightKind::kTernary;
    return {};
  }
  if (key == "method") {
    const auto method = methodFromName(value);
    if (!method) return method.error();
    layer->method = *method;
    return {};
  }
  if (key == "group-size") {
    int group_size = kWholeFilter;
    if (value != "filter" && (!parseInt(value, &group_size) || group_size == kWholeFilter)) {
      return badOption("group-size=" + std::string(value) +
                       " is no number of channels; use group-size=4 or group-size=filter");
    }
    TREFOIL_RETURN_IF_ERROR(checkGroupSize(group_size));
    layer->group_size = group_size;
    return {};
  }
  if (key == "scale-levels") {
    int levels = kFreeScales;
    if (value != "free" && (!parseInt(value, &levels) || levels == kFreeScales)) {
      return badOption("scale-levels=" + std::string(value) + " is unknown; use 2, 4, 8 or free");
    }
    TREFOIL_RETURN_IF_ERROR(checkScaleLevels(levels));
    layer->scale_levels = levels;
    return {};
  }
  if (key == "level-kind") {
    const auto kind = levelKindFromName(value);
    if (!kind) return kind.error();
    layer->level_kind = *kind;
    return {};
  }
  if (key == "planes") {
    int planes = 0;
    if (!parseInt(value, &planes))
      return badOption("planes=" + std::string(value) + " is no number; use 1 or 2");
    TREFOIL_RETURN_IF_ERROR(checkPlanes(planes));
    layer->planes = planes;
    return {};
  }
  if (key == "activation-bits") {
    int bits = 0;
    if (!parseInt(value, &bits))
      return badOption("activation-bits=" + std::string(value) + " is no number; use 4 to 8");
    TREFOIL_RETURN_IF_ERROR(checkBits("activation-bits", bits));
    layer->activation_bits = bits;
    return {};
  }
  return badOption(
      "layer option " + quoted(key) +
      " is unknown; use weights, method, group-size, scale-levels, level-kind, planes or activation-bits");
}

void writeGroupSize(int group_size, JsonWriter* json) {
  json->key("groupSize");
  if (group_size == kWholeFilter) {
    json->value("filter");
  } else {
    json->value(group_size);
  }
}

void writeScaleLevels(int levels, JsonWriter* json) {
  json->key("scaleLevels");
  if (levels == kFreeScales) {
    json->value("free");
  } else {
    json->value(levels);
  }
}

}  // namespace

Result<void> checkCombination(Method method, int scale_levels, int planes, std::string_view where) {
  if (method != Method::kFgqTwoSided || (scale_levels == kFreeScales && planes == 1)) return {};
  return badOption(std::string(where) + "method fgq-two-sided takes free scales and one plane; use fgq");
}

Result<void> validateRecipe(const Recipe& recipe) {
  TREFOIL_RETURN_IF_ERROR(checkGroupSize(recipe.group_size));
  TREFOIL_RETURN_IF_ERROR(checkScaleLevels(recipe.scale_levels));
  TREFOIL_RETURN_IF_ERROR(checkPlanes(recipe.planes));
  TREFOIL_RETURN_IF_ERROR(checkCombination(recipe.method, recipe.scale_levels, recipe.planes, ""));
  TREFOIL_RETURN_IF_ERROR(checkBits("activation bits", recipe.activation_bits));
  TREFOIL_RETURN_IF_ERROR(checkBits("residual bits", recipe.residual_bits));
  if (!(recipe.percentile > 50 && recipe.percentile <= 100)) {
    return badOption("percentile must be above 50 and at most 100; 99.99 is usual");
  }
  TREFOIL_RETURN_IF_ERROR(checkAim(recipe));
  for (const LayerRecipe& layer : recipe.layers) {
    if (layer.layer.empty())
      return badOption("a layer's options need the layer's name; inspect prints the names");
    if (layer.group_size) TREFOIL_RETURN_IF_ERROR(checkGroupSize(*layer.group_size));
    if (layer.scale_levels) TREFOIL_RETURN_IF_ERROR(checkScaleLevels(*layer.scale_levels));
    if (layer.planes) TREFOIL_RETURN_IF_ERROR(checkPlanes(*layer.planes));
    if (layer.activation_bits) TREFOIL_RETURN_IF_ERROR(checkBits("activation bits", *layer.activation_bits));
  }
  return {};
}

std::string recipeJson(const Recipe& recipe) {
  JsonWriter json;
  json.beginObject();
  json.key("activationBits").value(recipe.activation_bits);
  json.key("affineCorrection").value(recipe.affine_correction);
  json.key("clip").value(clipName(recipe.clip));
  writeGroupSize(recipe.group_size, &json);
  json.key("layers").beginArray();
  for (const LayerRecipe& layer : recipe.layers) {
    json.beginObject();
    if (layer.activation_bits) json.key("activationBits").value(*layer.activation_bits);
    if (layer.group_size) writeGroupSize(*layer.group_size, &json);
    json.key("layer").value(layer.layer);
    if (layer.level_kind) json.key("levelKind").value(levelKindName(*layer.level_kind));
    if (layer.method) json.key("method").value(methodName(*layer.method));
    if (layer.planes) json.key("planes").value(*layer.planes);
    if (layer.scale_levels) writeScaleLevels(*layer.scale_levels, &json);
    if (layer.weights) json.key("weights").value(weightKindName(*layer.weights));
    json.endObject();
  }
  json.endArray();
  if (recipe.scale_levels != kFreeScales) json.key("levelKind").value(levelKindName(recipe.level_kind));
  json.key("method").value(methodName(recipe.method));
  // Without the percentile rule its number changes nothing, and must not change the text either.
  if (recipe.clip == ClipRule::kPercentile) json.key("percentile").value(recipe.percentile);
  json.key("planes").value(recipe.planes);
  json.key("residualBits").value(recipe.residual_bits);
  writeScaleLevels(recipe.scale_levels, &json);
  return json.endObject().text();
}

Result<void> addLayerOption(std::string_view option, Recipe* recipe) {
  // Names may hold colons ("model/conv1/Conv:0"), keys and values never do.
  const std::size_t colon = option.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == option.size()) {
    return badOption("layer option " + quoted(option) +
                     " must read NAME:KEY=VALUE, for example conv1:weights=int8");
  }
  LayerRecipe layer;
  layer.layer = option.substr(0, colon);
  std::string_view rest = option.substr(colon + 1);
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view pair = rest.substr(0, comma);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return badOption(quoted(pair) + " in layer option " + quoted(option) + " must read KEY=VALUE");
    }
    TREFOIL_RETURN_IF_ERROR(setLayerKey(pair.substr(0, equals), pair.substr(equals + 1), &layer));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  recipe->layers.push_back(std::move(layer));
  return {};
}

Result<LevelKind> levelKindFromName(std::string_view name) {
  for (const LevelKind kind : {LevelKind::kFitted, LevelKind::kPowersOf2, LevelKind::kPowersOfSqrt2}) {
    if (name == levelKindName(kind)) return kind;
  }
  return badOption("level kind " + quoted(name) + " is unknown; use fitted, powers-of-2 or powers-of-sqrt-2");
}

Result<Method> methodFromName(std::string_view name) {
  for (const Method method : {Method::kFgq, Method::kFgqTwoSided, Method::kCompensated}) {
    if (name == methodName(method)) return method;
  }
  return badOption("method " + quoted(name) + " is unknown; use fgq, fgq-two-sided or compensated");
}

Result<Aim> aimFromName(std::string_view name) {
  if (name == "uniform") return Aim::kUniform;
  if (name == "protect") return Aim::kProtect;
  if (name == "bytes") return Aim::kBytes;
  if (name == "top1Loss") return Aim::kTop1Loss;
  if (name == "milliseconds") return Aim::kMilliseconds;
  return badOption("aim " + quoted(name) +
                   " is unknown; use uniform, protect, bytes, top1Loss or milliseconds");
}

}  // namespace trefoil
