// Bounded copies between strided memory and contiguous tiles: how the kernels, which see contiguous lanes only, reach
// any layout without a copy of the whole array.
#pragma once

#include <algorithm>
#include <cstring>

#include "axes.h"

namespace fastnorm {

// Whether elements T can be read in place at this address with this stride between rows.
template <class T>
bool aligned(const void* data) {
    return reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0;
}

// Every kStep-th element: with a constant step the compiler loads vectors and shuffles them.
template <std::ptrdiff_t kStep, class T>
void gather_every(const char* from, std::size_t n, T* to) {
    const T* const elements = reinterpret_cast<const T*>(from);
    for (std::size_t i = 0; i < n; ++i) to[i] = elements[kStep * static_cast<std::ptrdiff_t>(i)];
}

template <class T>
void gather(const char* from, std::ptrdiff_t stride, std::size_t n, T* to) {
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
    if (stride == size) {
        std::memcpy(to, from, n * sizeof(T));
        return;
    }
    if (aligned<T>(from) && stride == -size) return gather_every<-1>(from, n, to);
    if (aligned<T>(from) && stride == 2 * size) return gather_every<2>(from, n, to);
    if (aligned<T>(from) && stride == 3 * size) return gather_every<3>(from, n, to);
    if (aligned<T>(from) && stride == 4 * size) return gather_every<4>(from, n, to);
    for (std::size_t i = 0; i < n; ++i, from += stride) std::memcpy(to + i, from, sizeof(T));
}

template <class T>
void scatter(const T* from, std::size_t n, char* to, std::ptrdiff_t stride) {
    if (stride == static_cast<std::ptrdiff_t>(sizeof(T))) {
        std::memcpy(to, from, n * sizeof(T));
        return;
    }
    for (std::size_t i = 0; i < n; ++i, to += stride) std::memcpy(to, from + i, sizeof(T));
}

// Copies elements [first, first + n) of the flattened axes.
template <class T>
void gather_range(const Axes& axes, Operand operand, const char* base, std::size_t first, std::size_t n, T* to) {
    if (axes.size() == 0) {
        gather(base, 0, n, to);
        return;
    }
    const Axis& inner = axes[axes.size() - 1];
    while (n > 0) {
        const std::size_t some = std::min(n, inner.n - first % inner.n);
        gather(base + axes.offset(first).at[operand], inner.stride[operand], some, to);
        first += some, to += some, n -= some;
    }
}

// The way back.
template <class T>
void scatter_range(const T* from, std::size_t n, const Axes& axes, Operand operand, char* base, std::size_t first) {
    if (axes.size() == 0) {
        scatter(from, n, base, 0);
        return;
    }
    const Axis& inner = axes[axes.size() - 1];
    while (n > 0) {
        const std::size_t some = std::min(n, inner.n - first % inner.n);
        scatter(from, some, base + axes.offset(first).at[operand], inner.stride[operand]);
        first += some, from += some, n -= some;
    }
}

}  // namespace fastnorm
