#include "quantize_rows.h"

#include <algorithm>
#include <cmath>

#include "kernels/dispatch.h"
#include "memory/thread_memory.h"
#include "shape.h"
#include "shape/axes.h"
#include "shape/plan.h"
#include "shape/space.h"
#include "shape/types.h"
#include "threads/parallel.h"

namespace fastnorm {
namespace {

using Steps = std::array<std::ptrdiff_t, Shape::kMost>;

constexpr std::size_t kPartBytes = 128 * 1024;  // rows that are rounded while they are in the second cache

struct Extremes {
    double low, high;  // NaN if there is one
};

// The scale of a row, and what stands for 0 in it.
class RowScale {
public:
    RowScale(const Extremes& range, const QuantizeRowsOptions& options) {
        const bool is_signed = options.dtype == DType::i8;
        const double least = is_signed ? -128 : 0, most = is_signed ? 127 : 255;
        zero_point = options.symmetric && !is_signed ? 128 : 0;
        if (std::isnan(range.low)) {
            scale = static_cast<float>(range.low);
            return;
        }
        const double low = std::min(range.low, 0.0), high = std::max(range.high, 0.0);
        if (options.symmetric) {
            scale = static_cast<float>(std::max(-low, high) / 127.0);
            scale = scale == 0 ? 1.0f : scale;
        } else {
            const auto from = static_cast<float>(low), to = static_cast<float>(high);
            const float width = to - from;
            scale =
                std::isfinite(width) ? width / 255.0f : static_cast<float>((static_cast<double>(to) - from) / 255.0);
            scale = scale == 0 ? 1.0f : scale;
            const double zero = std::nearbyint(static_cast<float>(least) - from / scale);
            zero_point = static_cast<std::int32_t>(std::min(std::max(zero, least), most));
        }
        is_within = low > (least - kHalf - zero_point) * scale && high < (most + kHalf - zero_point) * scale;
    }

    float scale;
    std::int32_t zero_point;
    bool is_within = false;  // every value of the row has a byte without being cut off

private:
    static constexpr double kHalf = 0.499;  // of a step, however a quotient is rounded
};

template <class T>
class RowSweep {
    using C = Compute<T>;

public:
    RowSweep(const RowCall& call, const QuantizeRowsOptions& options, Output y, float* scale, std::int32_t* zero_point)
        : call_(call), options_(options), y_(y), scale_(scale), zero_point_(zero_point) {
        const Space& space = call.space;
        for (std::size_t i = 0; i < space.ndim; ++i) {
            if (space.roles[i] & reduced) {
                size_ *= space.shape[i];
            } else {
                rows_ *= space.shape[i];
                if (space.shape[i] > 1) inner_ = i;
            }
        }
    }

    void run() {
        if (!comes_in_parts()) {
            part(Steps{}, rows_, 0, call_.space.shape, threads_for(rows_ * size_ * sizeof(T)));
            return;
        }
        const Space& space = call_.space;
        const std::size_t n = space.shape[inner_],
                          some = std::min(n, std::max<std::size_t>(1, kPartBytes / row_bytes()));
        const std::size_t parts = (n + some - 1) / some;
        parallel_for(rows_ / n * parts, threads_for(rows_ * row_bytes()), [&](std::size_t task) {
            Steps index{};
            std::size_t shape[Shape::kMost];
            std::size_t outer = task / parts;
            const std::size_t first = task % parts * some, rows = std::min(some, n - first);
            const std::size_t row = outer * n + first;
            for (std::size_t i = space.ndim; i-- > 0;) {
                shape[i] = space.roles[i] & reduced ? space.shape[i] : 1;
                if ((space.roles[i] & reduced) || i == inner_) continue;
                index[i] = static_cast<std::ptrdiff_t>(outer % space.shape[i]);
                outer /= space.shape[i];
            }
            index[inner_] = static_cast<std::ptrdiff_t>(first);
            shape[inner_] = rows;
            part(index, rows, row, shape, 1);
        });
    }

private:
    std::size_t row_bytes() const { return size_ * sizeof(T); }

    // Whether some rows alone get the bits that they have among all: those along spans.
    bool comes_in_parts() const {
        if (inner_ == Shape::kMost || size_ == 0 || call_.is_varied || call_.where.data || row_bytes() > kPartBytes)
            return false;
        const auto* steps = call_.x.strides;
        return !make_plan(make_axes(call_.space, {steps, steps, steps, steps})).columns;
    }

    // Whether the output's rows lie in one piece each.
    bool rows_of_bytes() const {
        std::ptrdiff_t step = 1;
        for (std::size_t i = call_.space.ndim; i-- > 0;) {
            if (!(call_.space.roles[i] & reduced) || call_.space.shape[i] == 1) continue;
            if (y_.strides[i] != step) return false;
            step = times(step, call_.space.shape[i]);
        }
        return true;
    }

    const void* shifted(const Input& of, const Steps& index) const {
        std::ptrdiff_t offset = 0;
        for (std::size_t i = 0; i < call_.space.ndim; ++i) offset += index[i] * of.strides[i];
        return bytes(of.data) + offset;
    }
    Output shifted(const Output& of, const Steps& index) const {
        return {const_cast<void*>(shifted(Input{of.data, of.strides}, index)), of.strides};
    }

    // So many rows from the one at `index` on, which is the `first` of all.
    void part(const Steps& index, std::size_t rows, std::size_t first, const std::size_t* shape, int threads) const {
        const Borrowed<T> normalized(std::max<std::size_t>(rows * size_, 1));
        const Borrowed<C> scales(2 * rows);
        Steps steps;
        rows_first(shape, steps);
        const Space space{call_.space.dtype, call_.space.ndim, shape, call_.space.roles};
        const Output to{normalized, steps.data()};
        const Input x{shifted(call_.x, index), call_.x.strides};
        if (call_.sum) {
            const Sum& sum = *call_.sum;
            add_forward(
                space,
                {{shifted(sum.a, index), sum.a.strides}, {shifted(sum.b, index), sum.b.strides}, shifted(sum.x, index)},
                to, call_.parameters, call_.scale);
        } else {
            forward(space, x, to, call_.parameters, call_.scale, {}, call_.where);
        }
        C *const scale = scales, *const zero = scale + rows;
        // Rows of bytes that lie in one piece are rounded while the row is in the first cache.
        const bool at_once = threads == 1 && inner_ != Shape::kMost && rows == shape[inner_] && rows_of_bytes();
        auto* const bytes_to = static_cast<std::uint8_t*>(shifted(y_, index).data);
        const std::size_t each = std::max<std::size_t>(1, kPartBytes / std::max<std::size_t>(1, row_bytes()));
        parallel_for((rows + each - 1) / each, threads, [&](std::size_t task) {
            for (std::size_t r = task * each; r < std::min(rows, (task + 1) * each); ++r) {
                const T* const row = normalized + r * size_;
                const RowScale own(extremes(row), options_);
                scale_[first + r] = own.scale, zero_point_[first + r] = own.zero_point;
                scale[r] = own.scale, zero[r] = static_cast<C>(own.zero_point);
                if (!at_once) continue;
                const bool is_signed = options_.dtype == DType::i8;
                const C least = is_signed ? -128 : 0, most = is_signed ? 127 : 255;
                const Quantizer<C> by{scale + r, zero + r, false, least, most, own.is_within};
                kernels().of<T>().quantize(row, size_, by,
                                           bytes_to + static_cast<std::ptrdiff_t>(r) * y_.strides[inner_]);
            }
        });
        if (at_once) return;
        round(space, {normalized, steps.data()}, {scale, zero, true, options_.dtype == DType::i8}, shifted(y_, index));
    }

    Extremes extremes(const T* row) const {
        if (size_ == 0) return {0, 0};
        if (options_.symmetric) {
            const double largest = kernels().of<T>().row_largest(row, size_);
            return {-largest, largest};
        }
        Extremes range;
        kernels().of<T>().row_range(row, size_, &range.low, &range.high);
        return range;
    }

    // One group over the whole part, whose parameters are the scales of the rows.
    static void round(const Space& space, Input normalized, const Quantization& quantization, Output y) {
        std::uint8_t roles[Shape::kMost];
        for (std::size_t i = 0; i < space.ndim; ++i) roles[i] = space.roles[i] & reduced ? reduced : reduced_param;
        Parameters parameters;
        parameters.quantization = &quantization;
        const double one = 1.0;
        apply({space.dtype, space.ndim, space.shape, roles}, normalized, y, parameters, nullptr, &one);
    }

    // Steps of an array in which every row lies in one piece.
    void rows_first(const std::size_t* shape, Steps& steps) const {
        auto step = static_cast<std::ptrdiff_t>(sizeof(T));
        for (const bool is_reduced : {true, false}) {
            for (std::size_t i = call_.space.ndim; i-- > 0;) {
                if (static_cast<bool>(call_.space.roles[i] & reduced) != is_reduced) continue;
                steps[i] = step;
                step = times(step, shape[i]);
            }
        }
    }

    const RowCall& call_;
    const QuantizeRowsOptions& options_;
    const Output y_;
    float* const scale_;
    std::int32_t* const zero_point_;
    std::size_t size_ = 1, rows_ = 1, inner_ = Shape::kMost;
};

}  // namespace

void quantize_rows(const RowCall& call, const QuantizeRowsOptions& options, Output y, float* scale,
                   std::int32_t* zero_point) {
    with_type(call.space.dtype,
              [&](auto type) { RowSweep<decltype(type)>(call, options, y, scale, zero_point).run(); });
}

}  // namespace fastnorm
