// Normalization where only some elements count: sums over these, in double with the rounding errors kept, one element
// after the other in the order of the memory. Masks are rare next to plain calls, so this is plain C++; everything that
// is written goes through the same sweep as without a mask. Many groups are taken a part at a time, since sums take
// more room than small groups do.
#pragma once

#include "drivers/driver_call.h"

namespace fastnorm {

// `forward` and `backward` with a mask; there is data.
void masked_forward(const Space& space, Input x, Output y, const Parameters& parameters, Scale scale, Saved saved,
                    Input where);
void masked_backward(const Space& space, Input dy, Input x, const void* weight, Scale scale, bool training,
                     const double* mean, const double* rstd, const Gradients& out, Input where, const double* count);

// A sum and what its additions lost.
struct ExactSum {
    double sum = 0, lost = 0;

    void add(double v) {
        const double total = sum + v, part = total - sum;
        lost += (sum - (total - part)) + (v - part);
        sum = total;
    }
    void add(const ExactSum& other) {
        add(other.sum);
        lost += other.lost;
    }
    double value() const { return std::isfinite(sum) ? sum + lost : sum; }
};

struct ExactPair {
    ExactSum a, b;

    void add(double u, double v) { a.add(u), b.add(v); }
    void add(const ExactPair& other) { a.add(other.a), b.add(other.b); }
};

// Some of the groups, which are numbered anew, and so are their parameters.
struct MaskedPart {
    Axes axes;                           // with the new numbers
    Axes sweep;                          // the same with the parameters' own numbers
    Offset first;                        // of the part in all data
    std::vector<std::ptrdiff_t> groups;  // their own numbers
    std::vector<std::ptrdiff_t> parameters;
};

// Cuts along axes whose indices have groups of their own, by the shape only.
class MaskedParts {
public:
    MaskedParts(const Axes& axes, std::size_t bytes);

    std::size_t count() const { return outer_.count() * pieces_; }
    MaskedPart part(std::size_t i) const;
    // Whether every parameter belongs to one part.
    bool own_parameters() const;
    // In how many stretches a part is summed: one thread has a part, several have what is not cut.
    std::size_t stretches() const { return count() > 1 ? 1 : kStretches; }

private:
    static constexpr std::size_t kStretches = 16, kGroups = 1024;

    Axes inner_, outer_;
    Axis cut_ = kNoAxis;
    std::size_t chunk_ = 1, pieces_ = 1;
};

// Visits the elements that count: rows of lanes in stretches, which depend on the shape only.
class MaskedWalk {
public:
    // At most so many stretches.
    MaskedWalk(Axes axes, std::size_t most);

    std::size_t stretches() const { return stretches_; }

    // Calls f(stretch, offset, lane axis) for every row.
    template <class F>
    void rows(int threads, F&& f) const {
        parallel_for(stretches_, threads, [&](std::size_t k) {
            const std::size_t n = outer_.count(), each = n / first_;
            for (std::size_t i = first_ * k / stretches_ * each; i < first_ * (k + 1) / stretches_ * each; ++i) {
                f(k, outer_.offset(i), lanes_);
            }
        });
    }

private:
    Axes outer_;
    Axis lanes_ = kNoAxis;
    std::size_t first_ = 1, stretches_ = 1;
};

// Pairs of sums, one for every value of a side array. Every stretch has its own; they are added up in order.
class MaskedSums {
public:
    MaskedSums(const MaskedWalk& walk, std::size_t n) : n_(n), pairs_(walk.stretches() * n) {}

    // Adds pairs of a row of `lanes` lanes, which step through the array by `step`, 0 or 1 or more: u(i) and v(i) where
    // counts(i).
    template <class Counts, class Terms>
    void add_row(std::size_t stretch, std::ptrdiff_t first, std::ptrdiff_t step, std::size_t lanes,
                 const Counts& counts, const Terms& terms) {
        ExactPair* to = pairs_.data() + stretch * n_ + first;
        constexpr std::size_t kChains = 8;  // additions that do not wait for each other
        ExactPair local[kChains];
        for (std::size_t i = 0; i < lanes; ++i) {
            if (!counts(i)) continue;
            const auto [u, v] = terms(i);
            (step ? to[static_cast<std::ptrdiff_t>(i) * step] : local[i % kChains]).add(u, v);
        }
        if (step) return;
        for (const ExactPair& some : local) to->add(some);
    }

    ExactPair total(std::size_t i) const {
        ExactPair total;
        for (std::size_t k = i; k < pairs_.size(); k += n_) total.add(pairs_[k]);
        return total;
    }

private:
    std::size_t n_;
    std::vector<ExactPair> pairs_;
};

}  // namespace fastnorm
