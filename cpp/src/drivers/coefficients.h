// What the elementwise kernels need besides the data: statistics of a bounded set of groups, weight and bias.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/table.h"
#include "memory/thread_memory.h"
#include "shape/axes.h"
#include "shape/types.h"

namespace fastnorm {

// Statistics outside of these bounds go through other arithmetic, element by element: x - h may overflow, the scale
// may not be a normal number of the compute type.
template <class C>
bool is_extreme(double mean, double rstd) {
    if constexpr (sizeof(C) == 8) return (rstd != 0 && rstd < 0x1p-1000) || std::fabs(mean) > 0x1p1000;
    const bool scale = rstd == 0 || std::isnan(rstd) || (rstd >= 0x1p-100 && rstd <= 0x1p100);
    return !scale || std::fabs(mean) > 0x1p126;
}

// Statistics in the compute type for the kernels, and in double for groups that the compute type cannot handle.
template <class C>
class Coefficients {
public:
    explicit Coefficients(std::size_t n) : memory_(room(n) * kDoubles) {
        n = room(n);
        double* at = memory_;
        for (double** p : {&mean, &rstd, &d1, &d2}) *p = at, at += n;
        C* single = reinterpret_cast<C*>(at);
        for (C** p : {&h, &l, &r, &c1, &c2}) *p = single, single += n;
    }
    Coefficients(const Coefficients&) = delete;
    Coefficients& operator=(const Coefficients&) = delete;

    // The mean is origin + rest; keeping it in two parts of the compute type is what makes the error independent of it.
    void set(std::size_t i, double origin, double rest, double scale) {
        mean[i] = origin + rest;
        rstd[i] = scale;
        h[i] = static_cast<C>(mean[i]);
        l[i] = static_cast<C>((origin - h[i]) + rest);
        r[i] = static_cast<C>(scale);
        if (extreme(i)) any_extreme.store(true, std::memory_order_relaxed);
    }
    // n statistics at once; `given_mean` = nullptr is zero.
    void set_all(std::size_t n, const double* given_mean, const double* given_rstd) {
        given_mean ? std::copy_n(given_mean, n, mean) : std::fill_n(mean, n, 0.0);
        std::copy_n(given_rstd, n, rstd);
        round(0, n);
    }
    // n statistics that are `step` apart, each for `width` indices from i on.
    void set_strided(std::size_t i, std::size_t n, std::size_t width, const double* given_mean,
                     const double* given_rstd, std::ptrdiff_t step) {
        double *mean_out = mean + i, *rstd_out = rstd + i;
        for (std::size_t k = 0; k < n; ++k) {
            const std::ptrdiff_t from = static_cast<std::ptrdiff_t>(k) * step;
            mean_out = std::fill_n(mean_out, width, given_mean ? given_mean[from] : 0.0);
            rstd_out = std::fill_n(rstd_out, width, given_rstd[from]);
        }
        round(i, i + n * width);
    }
    // Ordinary statistics of n groups that are rounded already, each for `width` indices from i on.
    void copy(std::size_t i, std::size_t n, std::size_t width, const GroupStatistics<C>& of) {
        repeat(of.mean, n, width, mean + i);
        repeat(of.rstd, n, width, rstd + i);
        repeat(of.h, n, width, h + i);
        repeat(of.l, n, width, l + i);
        repeat(of.r, n, width, r + i);
    }
    // What follows from means and scales that are set, in loops that the compiler turns into vectors.
    void round(std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) h[i] = static_cast<C>(mean[i]);
        for (std::size_t i = begin; i < end; ++i) l[i] = static_cast<C>(mean[i] - static_cast<double>(h[i]));
        for (std::size_t i = begin; i < end; ++i) r[i] = static_cast<C>(rstd[i]);
        // Most are ordinary numbers of the compute type, which one look tells.
        int doubtful = 0;
        for (std::size_t i = begin; i < end; ++i) {
            const int scale = static_cast<int>(r[i] >= C(0x1p-100)) & static_cast<int>(r[i] <= C(0x1p100));
            doubtful |= 1 ^ (scale & static_cast<int>(std::fabs(h[i]) <= C(0x1p126)));
        }
        bool any = false;
        for (std::size_t i = begin; doubtful && i < end; ++i) any |= extreme(i);
        if (any) any_extreme.store(true, std::memory_order_relaxed);
    }
    // The gradient's sums divided by the number of elements.
    void set_gradient(std::size_t i, double mean_g, double mean_gx) {
        d1[i] = mean_g;
        d2[i] = mean_gx;
        c1[i] = static_cast<C>(mean_g);
        c2[i] = static_cast<C>(mean_gx);
        if (large_gradient(i)) any_extreme.store(true, std::memory_order_relaxed);
    }
    bool extreme(std::size_t i) const { return is_extreme<C>(mean[i], rstd[i]); }
    // Whether what is made of the gradient's sums may overflow in the compute type.
    bool large_gradient(std::size_t i) const {
        const auto large = [](double v) { return std::fabs(v) > kLargeGradient && std::isfinite(v); };
        return sizeof(C) == 4 && (large(d1[i]) || large(d2[i]));
    }
    // A normalized value in double. An extreme group of double has differences that may overflow.
    double xhat(std::size_t i, double x) const {
        constexpr double kPart = 0x1p-4;
        if (sizeof(C) == 4 || !extreme(i)) return (x - mean[i]) * rstd[i];
        return ((x * kPart - h[i] * kPart) - l[i] * kPart) * (rstd[i] / kPart);
    }

    double *mean, *rstd, *d1, *d2;
    C *h, *l, *r, *c1, *c2;
    std::atomic<bool> any_extreme{false};

private:
    template <class V>
    static void repeat(const V* values, std::size_t n, std::size_t width, V* to) {
        if (width == 1) {
            std::copy_n(values, n, to);
        } else {
            for (std::size_t k = 0; k < n; ++k) to = std::fill_n(to, width, values[k]);
        }
    }

    static constexpr std::size_t kLeast = 64, kDoubles = 9;
    // Whole vectors may be written, so a small set has room for them.
    static std::size_t room(std::size_t n) { return std::max(n, kLeast); }

    const Borrowed<double> memory_;
};

// Parameters that nobody gave: as many ones, or zeros that keep the sign of what they are added to. Few are there
// already: to write them would take a tenth of the time of one row.
template <class C>
class Constants {
public:
    const C* ones(std::size_t n) { return n <= kFew ? few.ones.data() : filled(n, C(1)); }
    const C* zeros(std::size_t n) { return n <= kFew ? few.zeros.data() : filled(n, C(-0.0)); }

private:
    static constexpr std::size_t kFew = 1024;
    struct Few {
        constexpr Few() : ones(), zeros() {
            for (std::size_t i = 0; i < kFew; ++i) ones[i] = C(1), zeros[i] = C(-0.0);
        }
        alignas(64) std::array<C, kFew> ones, zeros;
    };
    static constexpr Few few{};

    const C* filled(std::size_t n, C value) {
        values_.assign(n, value);
        return values_.data();
    }
    std::vector<C> values_;
};

// What a normalized value goes through. A missing weight or bias beside the other becomes an array of its constant, so
// that no loop has to know; if no parameter is given, no axis steps through them.
template <class C>
class Affine {
public:
    Affine(Axes& axes, const Parameters& given)
        : w(static_cast<const C*>(given.weight)),
          b(static_cast<const C*>(given.bias)),
          activation(given.activation),
          quantization(given.quantization) {
        std::size_t n = 1;
        const bool any = w || b || (quantization && quantization->per_parameter);
        for (std::size_t i = 0; i < axes.size(); ++i) {
            if (!any) axes[i].param = 0;
            if (any && axes[i].is_param()) n *= axes[i].n;
        }
        if (!w) w = weight_.ones(n);
        has_bias_ = b != nullptr;
        if (!b) b = bias_.zeros(n);
    }
    // The same with other values.
    Affine(const Affine& of, const C* weight, const C* bias, const Quantization* by)
        : w(weight), b(bias), activation(of.activation), quantization(by), has_bias_(of.has_bias_) {}
    Affine(const Affine&) = delete;
    Affine& operator=(const Affine&) = delete;

    bool has_bias() const { return has_bias_; }

    const C *w, *b;
    Activation activation;
    const Quantization* quantization;

private:
    bool has_bias_;
    Constants<C> weight_, bias_;
};

// The same with every parameter as many times as the lanes of a plan share it.
template <class C>
class SpreadAffine {
public:
    SpreadAffine(const Affine<C>& given, std::size_t parameters, std::size_t spread) : given_(given) {
        if (spread == 1) return;
        const auto repeated = [&](const void* values) {
            std::vector<C>& own = values_.emplace_back();
            own.reserve(parameters * spread);
            const C* const from = static_cast<const C*>(values);
            for (std::size_t i = 0; i < parameters; ++i) own.insert(own.end(), spread, from[i]);
            return own.data();
        };
        const Quantization* by = given.quantization;
        if (by && by->per_parameter) {
            quantization_ = *by;
            quantization_.scale = repeated(by->scale), quantization_.zero_point = repeated(by->zero_point);
            by = &quantization_;
        }
        own_.reset(new Affine<C>(given, repeated(given.w), repeated(given.b), by));
    }
    const Affine<C>& get() const { return own_ ? *own_ : given_; }

private:
    const Affine<C>& given_;
    std::unique_ptr<Affine<C>> own_;
    std::vector<std::vector<C>> values_;
    Quantization quantization_;
};

}  // namespace fastnorm
