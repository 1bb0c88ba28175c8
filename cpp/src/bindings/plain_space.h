// The iteration space of a plain call: which axes its statistics run over, as fastnorm._layout says it.
#pragma once

#include <array>

#include "plain.h"

namespace fastnorm_python {

class PlainSpace {
public:
    // Statistics over the last axis.
    static PlainSpace rows(const PlainCall& call) {
        PlainSpace result(call.x().type);
        const int nd = call.x().ndim();
        const auto n = static_cast<std::size_t>(call.length(nd - 1));
        result.push(call.size() / n, fn::kept);
        result.push(n, fn::reduced_param);
        result.nd_ = nd;
        std::copy_n(call.x().shape(), nd, result.statistics_.begin());
        result.statistics_[static_cast<std::size_t>(nd - 1)] = 1;
        return result;
    }
    // A group for each index of an axis.
    static PlainSpace batch(const PlainCall& call, long axis) {
        PlainSpace result(call.x().type);
        result.push(call.count(0, axis), fn::reduced);
        result.push(call.count(axis, axis + 1), fn::param);
        result.push(call.count(axis + 1, call.x().ndim()), fn::reduced);
        result.nd_ = 1;
        result.statistics_[0] = call.length(axis);
        return result;
    }
    // Groups of neighbouring channels of a sample. One group, and groups of one channel, have no axis of their own: it
    // would end the runs of the sums.
    static PlainSpace groups(const PlainCall& call, long axis, long num_groups) {
        PlainSpace result(call.x().type);
        const std::size_t channels = call.count(axis, axis + 1), groups = static_cast<std::size_t>(num_groups);
        result.push(call.count(0, 1), fn::kept);
        result.push(call.count(1, axis), fn::reduced);
        if (groups == 1 || groups == channels) {
            result.push(channels, groups == channels ? fn::param : fn::reduced_param);
        } else {
            result.push(groups, fn::param);
            result.push(channels / groups, fn::reduced_param);
        }
        result.push(call.count(axis + 1, call.x().ndim()), fn::reduced);
        result.nd_ = 2;
        result.statistics_[0] = call.length(0);
        result.statistics_[1] = num_groups;
        return result;
    }

    fn::Space get() const { return {dtype_, ndim_, shape_.data(), roles_.data()}; }

    std::size_t parameters() const { return count(fn::param, fn::param); }
    std::size_t group_count() const { return count(fn::reduced, fn::kept); }
    std::size_t group_size() const { return count(fn::reduced, fn::reduced); }

    // Doubles, one for each group.
    py::object new_statistics() const { return new_doubles(nd_, statistics_.data()); }
    const double* statistics(PlainCall& call, PyObject* object) const {
        return call.doubles(object, nd_, statistics_.data());
    }

private:
    explicit PlainSpace(fn::DType dtype) : dtype_(dtype) {}

    void push(std::size_t n, fn::Role role) {
        shape_[ndim_] = n;
        roles_[ndim_++] = role;
    }
    // Indices along the axes whose role has these bits of a mask.
    std::size_t count(int mask, int bits) const {
        std::size_t n = 1;
        for (std::size_t i = 0; i < ndim_; ++i) n *= (roles_[i] & mask) == bits ? shape_[i] : 1;
        return n;
    }

    fn::DType dtype_;
    std::size_t ndim_ = 0;
    std::array<std::size_t, 5> shape_{};
    std::array<std::uint8_t, 5> roles_{};
    int nd_ = 0;
    std::array<Py_ssize_t, kMostAxes> statistics_{};
};

}  // namespace fastnorm_python
