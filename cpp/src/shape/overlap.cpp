#include "shape/overlap.h"

#include <algorithm>

#include "operations/tensor.h"

namespace fastnorm {
namespace {

using Signed = std::ptrdiff_t;

// One unknown of the equation sum(step * index) = target, 0 <= index <= most.
struct Term {
    Signed step, most;
};

// The addresses of a tensor: that of the first element, and how far it is from there to the last byte.
struct Reach {
    explicit Reach(const Tensor& tensor) : first(reinterpret_cast<Signed>(tensor.data)) {
        const auto size = static_cast<Signed>(bytes_of(tensor.dtype));
        Signed elements = 1;
        for (std::size_t i = 0; i < tensor.ndim; ++i) elements *= static_cast<Signed>(tensor.shape[i]);
        is_empty = elements == 0;
        reach = (tensor.strides ? 1 : elements) * size - 1;
        for (std::size_t i = 0; !is_empty && tensor.strides && i < tensor.ndim; ++i) {
            const Signed way = tensor.strides[i] * (static_cast<Signed>(tensor.shape[i]) - 1);
            first += std::min<Signed>(way, 0);
            reach += std::abs(way);
        }
    }
    Signed first, reach = 0;
    bool is_empty = false;
};

// The axes of a tensor, added to terms[0..n). Returns how many there are now.
std::size_t add_terms(const Tensor& tensor, Term* terms, std::size_t n) {
    for (std::size_t i = 0; i < tensor.ndim; ++i) {
        const Signed step = stride_of(tensor, i), most = static_cast<Signed>(tensor.shape[i]) - 1;
        if (most > 0 && step != 0) terms[n++] = {std::abs(step), most};
    }
    return n;
}

// Sorts terms by falling steps, and makes one of terms whose sums leave no gap between them: rows that follow one
// another, bytes of an element, axes of two tensors that have one step. Returns how many are left.
std::size_t joined(Term* terms, std::size_t n) {
    std::sort(terms, terms + n, [](const Term& x, const Term& y) { return x.step > y.step; });
    std::size_t first = n;  // terms[first..n) are left, from the smallest step on
    for (std::size_t i = n; i-- > 0;) {
        Term& term = terms[i];
        if (first < n) {
            Term& smaller = terms[first];
            const Signed ratio = term.step / smaller.step;
            if (ratio * smaller.step == term.step && ratio <= smaller.most + 1) {
                smaller.most += ratio * term.most;
                continue;
            }
        }
        terms[--first] = term;
    }
    std::copy(terms + first, terms + n, terms);
    return n - first;
}

// Depth-first search for a solution; steps descend, so the rest of the terms bounds every index tightly.
class Search {
public:
    Search(const Term* terms, std::size_t n) : terms_(terms), n_(n) {}

    bool solvable(std::size_t from, Signed target, Signed reach) {
        if (target < 0 || target > reach) return false;
        if (from == n_) return target == 0;
        if (++work_ > kMostWork) return true;
        const Term& term = terms_[from];
        reach -= term.step * term.most;
        const Signed least = target > reach ? (target - reach + term.step - 1) / term.step : 0;
        const Signed most = std::min(term.most, target / term.step);
        for (Signed i = least; i <= most; ++i) {
            if (solvable(from + 1, target - i * term.step, reach)) return true;
        }
        return false;
    }

private:
    static constexpr int kMostWork = 10000;
    const Term* terms_;
    std::size_t n_;
    int work_ = 0;
};

}  // namespace

bool overlap(const Tensor& a, const Tensor& b) {
    const Reach first(a), second(b);
    if (first.is_empty || second.is_empty) return false;
    if (first.first > second.first + second.reach || second.first > first.first + first.reach) return false;
    // a.first + sum(a) + byte of a = b.first + sum(b) + byte of b; the indices of b are counted from their ends.
    std::array<Term, 2 * Shape::kMost + 2> terms;
    std::size_t n = add_terms(b, terms.data(), add_terms(a, terms.data(), 0));
    for (const Tensor* tensor : {&a, &b}) terms[n++] = {1, static_cast<Signed>(bytes_of(tensor->dtype)) - 1};
    n = joined(terms.data(), n);
    return Search(terms.data(), n).solvable(0, second.first + second.reach - first.first, first.reach + second.reach);
}

bool same_memory(const Tensor& a, const Tensor& b) {
    if (a.data != b.data || a.dtype != b.dtype) return false;
    for (std::size_t i = 0; i < a.ndim; ++i) {
        // The stride of an axis of length one is never used.
        if (a.shape[i] > 1 && stride_of(a, i) != stride_of(b, i)) return false;
    }
    return true;
}

bool overlaps_itself(const Tensor& tensor) {
    if (is_contiguous(tensor)) return false;
    std::array<Term, Shape::kMost> axes;
    std::size_t n = 0;
    for (std::size_t i = 0; i < tensor.ndim; ++i) {
        const auto most = static_cast<Signed>(tensor.shape[i]) - 1;
        if (most > 0) axes[n++] = {std::abs(stride_of(tensor, i)), most};
    }
    std::sort(axes.begin(), axes.begin() + n, [](const Term& a, const Term& b) { return a.step < b.step; });
    auto reach = static_cast<Signed>(bytes_of(tensor.dtype));
    for (std::size_t i = 0; i < n; ++i) {
        if (axes[i].step < reach) return true;
        reach += axes[i].step * axes[i].most;
    }
    return false;
}

}  // namespace fastnorm
