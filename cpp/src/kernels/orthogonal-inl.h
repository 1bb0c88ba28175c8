// Orthogonal transformations of small matrices in float64: Householder reflections of a panel, rotations of two rows.
//
// Sums run over virtual lanes and add in one order, so that every target that fuses has the same bits.
#if defined(FASTNORM_ORTHOGONAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_ORTHOGONAL_INL_H_
#undef FASTNORM_ORTHOGONAL_INL_H_
#else
#define FASTNORM_ORTHOGONAL_INL_H_
#endif

#include <cmath>

#include "orthogonal.h"
#include "simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

// sums[c] = sum over the rows of rows[r][column] * rows[r][c]. Four rows add up apart, then in pairs.
HWY_INLINE void ColumnProducts(const double* rows, std::ptrdiff_t step, std::size_t count, std::size_t column,
                               double* HWY_RESTRICT sums) {
    const Tag<double> d;
    using V = Virtual<decltype(d)>;
    static_assert(V::kLanes == kReflections);
    hn::Vec<decltype(d)> parts[4][V::kParts];
    for (auto& part : parts) {
        for (auto& sum : part) sum = hn::Zero(d);
    }
    for (std::size_t r = 0; r < count; r += 4) {
        for (std::size_t i = 0; i < 4; ++i, rows += step) {
            const auto factor = hn::Set(d, rows[column]);
            for (std::size_t v = 0; v < V::kParts; ++v) {
                parts[i][v] = hn::MulAdd(factor, hn::LoadU(d, rows + v * V::kN), parts[i][v]);
            }
        }
    }
    for (std::size_t v = 0; v < V::kParts; ++v) {
        const auto sum = hn::Add(hn::Add(parts[0][v], parts[1][v]), hn::Add(parts[2][v], parts[3][v]));
        hn::StoreU(sum, d, sums + v * V::kN);
    }
}

// See Reflect in orthogonal.h. Column by column: the reflection that takes [upper_jj; rows_j] to [beta; 0].
inline void ReflectPanel(const Reflect& p) {
    const Tag<double> d;
    using V = Virtual<decltype(d)>;
    HWY_ALIGN double sums[kReflections], factors[kReflections];
    std::fill_n(p.t, kReflections * kReflections, 0.0);
    for (std::size_t j = 0; j < kReflections; ++j) {
        double* const upper = p.upper + static_cast<std::ptrdiff_t>(j) * p.upper_row;
        ColumnProducts(p.rows, p.row, p.count, j, sums);
        if (sums[j] == 0.0) continue;  // nothing to reflect; t_jj = 0 stands for the identity
        const double alpha = upper[j];
        const double length = std::sqrt(alpha * alpha + sums[j]);
        const double beta = alpha > 0.0 ? -length : length;
        const double scale = 1.0 / (alpha - beta), tau = (beta - alpha) / beta;
        // The column becomes the vector of the reflection, those behind it are reflected.
        for (std::size_t c = 0; c < kReflections; ++c) {
            if (c > j) {
                const double y = tau * (upper[c] + sums[c] * scale);
                upper[c] -= y;
                factors[c] = -y * scale;
            } else {
                factors[c] = 0.0;
            }
        }
        upper[j] = beta;
        double* row = p.rows;
        for (std::size_t r = 0; r < p.count; ++r, row += p.row) {
            const double value = row[j];
            const auto element = hn::Set(d, value);
            for (std::size_t v = 0; v < V::kParts; ++v) {
                double* const at = row + v * V::kN;
                hn::StoreU(hn::MulAdd(element, hn::Load(d, factors + v * V::kN), hn::LoadU(d, at)), d, at);
            }
            row[j] = value * scale;
        }
        // Column j of T, where Q = I - V T V'.
        for (std::size_t i = 0; i < j; ++i) {
            double sum = 0.0;
            for (std::size_t k = i; k < j; ++k) sum += p.t[i * kReflections + k] * sums[k];
            p.t[i * kReflections + j] = -tau * scale * sum;
        }
        p.t[j * kReflections + j] = tau;
    }
}

// Sums of a*a, b*b, a*b and |a*b|.
inline void PairProducts(const double* a, const double* b, std::size_t n, double* to) {
    const Tag<double> d;
    using V = Virtual<decltype(d)>;
    constexpr std::size_t kCount = 4;
    HWY_ALIGN double lanes[V::kLanes];
    hn::Vec<decltype(d)> sums[kCount][V::kParts];
    for (auto& part : sums) {
        for (auto& sum : part) sum = hn::Zero(d);
    }
    for (std::size_t i = 0; i < n; i += V::kLanes) {
        for (std::size_t v = 0; v < V::kParts; ++v) {
            const auto x = hn::LoadU(d, a + i + v * V::kN), y = hn::LoadU(d, b + i + v * V::kN);
            sums[0][v] = hn::MulAdd(x, x, sums[0][v]);
            sums[1][v] = hn::MulAdd(y, y, sums[1][v]);
            sums[2][v] = hn::MulAdd(x, y, sums[2][v]);
            sums[3][v] = hn::MulAdd(hn::Abs(x), hn::Abs(y), sums[3][v]);
        }
    }
    for (std::size_t k = 0; k < kCount; ++k) {
        for (std::size_t v = 0; v < V::kParts; ++v) hn::Store(sums[k][v], d, lanes + v * V::kN);
        for (std::size_t half = V::kLanes / 2; half > 0; half /= 2) {
            for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
        }
        to[k] = lanes[0];
    }
}

// a, b = c a - s b, s a + c b
inline void RotatePair(double* a, double* b, std::size_t n, double cosine, double sine) {
    const Tag<double> d;
    const auto c = hn::Set(d, cosine), s = hn::Set(d, sine);
    for (std::size_t i = 0; i < n; i += Virtual<decltype(d)>::kN) {
        const auto x = hn::LoadU(d, a + i), y = hn::LoadU(d, b + i);
        hn::StoreU(hn::NegMulAdd(s, y, hn::Mul(c, x)), d, a + i);
        hn::StoreU(hn::MulAdd(s, x, hn::Mul(c, y)), d, b + i);
    }
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_ORTHOGONAL_INL_H_
