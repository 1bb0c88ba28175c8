// Axes, options and results.
#include <limits>

#include "draw.h"

namespace fuzz {

using fn::DType;

// ---- axes

std::int64_t Draw::axis() {
    constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min(), odd[] = {7, -8, 64, least, -(least + 1)};
    const std::size_t n = shape_.size();
    if (n == 0 || bytes.chance(3)) return bytes.pick(odd);
    const auto axis = static_cast<std::int64_t>(n - 1 - bytes.below(n));
    return bytes.chance(128) ? axis : axis - static_cast<std::int64_t>(n);
}

fn::AxisList Draw::axes() {
    if (bytes.chance(2)) return fn::AxisList::none();
    if (!bytes.chance(96)) return axis();
    fn::AxisList axes({});
    for (std::size_t i = 0; i < shape_.size(); ++i) {
        if (bytes.chance(128)) axes.push(bytes.chance(2) ? axis() : static_cast<std::int64_t>(i));
    }
    return axes;
}

std::vector<bool> Draw::named(const fn::AxisList& axes) const {
    std::vector<bool> named(shape_.size());
    const auto n = static_cast<std::int64_t>(shape_.size());
    for (std::size_t i = 0; i < axes.size(); ++i) {
        if (axes[i] >= -n && axes[i] < n) named[static_cast<std::size_t>(axes[i] < 0 ? axes[i] + n : axes[i])] = true;
    }
    return named;
}

Shape Draw::along(const fn::AxisList& axes) const {
    Shape result;
    for (std::size_t i = 0; i < shape_.size(); ++i) {
        if (named(axes)[i]) result.push_back(shape_[i]);
    }
    return result;
}

Shape Draw::without(const fn::AxisList& axes) const {
    Shape result = shape_;
    for (std::size_t i = 0; i < shape_.size(); ++i) {
        if (named(axes)[i] || (axes.size() == 0 && !axes.is_list())) result[i] = 1;
    }
    return result;
}

Shape Draw::only(const fn::AxisList& axes) const {
    Shape result = shape_;
    for (std::size_t i = 0; i < shape_.size(); ++i) {
        if (!named(axes)[i]) result[i] = 1;
    }
    return result;
}

// ---- small arrays

fn::Tensor Draw::statistic(const Shape& shape, Values values) {
    return input(shape, bytes.chance(64) ? DType::f32 : DType::f64, bytes.chance(32) ? draw_values() : values);
}

fn::Tensor Draw::parameter(const Shape& channels, bool broadcasts) {
    if (!bytes.chance(160)) return {};
    const DType wider[] = {dtype_, dtype_, dtype_ == DType::f64 ? DType::f64 : DType::f32, DType::f64};
    Shape shape = channels;
    if (broadcasts && bytes.chance(64)) {
        shape = shape_;
        for (std::size_t& length : shape) length = bytes.chance(128) ? 1 : length;
    }
    return input(shape, bytes.pick(wider), draw_values());
}

fn::Tensor Draw::mask() {
    if (!bytes.chance(64)) return {};
    Shape shape = shape_;
    for (std::size_t& length : shape) length = bytes.chance(64) ? 1 : length;
    if (!shape.empty() && bytes.chance(64)) shape.erase(shape.begin());
    return input(shape, DType::boolean, Values::numbers);
}

fn::MutableTensor Draw::optional_result(const Shape& shape, DType dtype) {
    return bytes.chance(96) ? fn::MutableTensor() : result(shape, dtype);
}

fn::MutableTensor Draw::required_result(const Shape& shape, DType dtype) {
    return bytes.chance(has_maker_ ? 128 : 2) ? fn::MutableTensor() : result(shape, dtype);
}

// ---- options

double Draw::number(double usual) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr double others[] = {0.0, -0.0, 1.0, 0.5, 2.0, -1.0, 1e308, 5e-324, infinity, -infinity};
    if (!bytes.chance(24)) return usual;
    return bytes.chance(24) ? std::numeric_limits<double>::quiet_NaN() : bytes.pick(others);
}

std::int64_t Draw::whole(std::int64_t usual) {
    constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min(), others[] = {0, -1, 3, 64, least};
    return bytes.chance(4) ? bytes.pick(others) : usual;
}

fn::Activation Draw::activation() {
    if (!bytes.chance(64)) return fn::Activation::none;
    return static_cast<fn::Activation>(bytes.chance(4) ? bytes.byte() : bytes.below(5));
}

fn::NormOptions Draw::norm_options(const Shape& channels) {
    fn::NormOptions options;
    options.weight = parameter(channels), options.bias = parameter(channels);
    if (bytes.chance(64)) options.eps = number(1e-3);
    options.offset = bytes.chance(32) ? number(1) : 0;
    options.activation = activation();
    options.where = mask();
    options.mean_only = bytes.chance(16);
    const auto byte = [&] {
        return bytes.chance(4) ? static_cast<DType>(bytes.below(11)) : bytes.chance(128) ? DType::u8 : DType::i8;
    };
    if (bytes.chance(32)) {
        const auto each = [&](Values values) {
            return input(bytes.chance(96) ? channels : Shape(), bytes.chance(4) ? DType::f32 : DType::f64, values);
        };
        quantize_.dtype = out_dtype_ = byte();
        quantize_.scale = each(Values::positive), quantize_.zero_point = each(Values::whole);
        options.quantize = &quantize_;
    }
    if (bytes.chance(24)) {
        quantize_rows_.dtype = out_dtype_ = byte();
        quantize_rows_.symmetric = bytes.chance(128);
        options.quantize_rows = &quantize_rows_, has_rows_ = true;
    }
    return options;
}

fn::BackwardOptions Draw::backward_options(const Shape& channels) {
    fn::BackwardOptions options;
    options.weight = parameter(channels), options.bias = parameter(channels);
    options.offset = bytes.chance(32) ? number(1) : 0;
    options.activation = activation();
    options.where = mask();
    options.training = !bytes.chance(64);
    options.mean_only = bytes.chance(16);
    return options;
}

fn::RunningStatistics Draw::running(const Shape& channels, bool mean_only) {
    fn::RunningStatistics running;
    if (bytes.chance(128)) {
        const DType dtype = bytes.chance(64) ? dtype_ : DType::f64;
        running.mean = result(channels, dtype);
        if (!mean_only) running.var = result(channels, dtype);
    }
    running.momentum = number(0.1), running.ddof = number(bytes.chance(128) ? 0 : 1);
    return running;
}

// ---- results

fn::NormResults Draw::norm_results(const Shape& statistics, Saved saved) {
    fn::NormResults results;
    results.y = required_result(shape_, out_dtype_);
    if (saved == Saved::both) results.mean = optional_result(statistics, DType::f64);
    if (saved != Saved::none) {
        results.rstd = optional_result(statistics, DType::f64);
    } else if (has_rows_ && !bytes.chance(has_maker_ ? 128 : 2)) {
        results.scale = result(statistics, DType::f32), results.zero_point = result(statistics, DType::i32);
    }
    results.maker = maker();
    return results;
}

fn::AddNormResults Draw::add_norm_results(const Shape& statistics, Saved saved) {
    const fn::NormResults norm = norm_results(statistics, saved);
    return {norm.y, required_result(shape_, dtype_), norm.mean, norm.rstd, norm.maker, norm.scale, norm.zero_point};
}

fn::GradientResults Draw::gradients(const Shape& channels) {
    fn::GradientResults results;
    results.dx = optional_result(shape_, dtype_);
    results.dweight = optional_result(channels, dtype_), results.dbias = optional_result(channels, dtype_);
    for (bool& wanted : results.wants) wanted = !bytes.chance(64);
    results.maker = maker();
    return results;
}

}  // namespace fuzz
