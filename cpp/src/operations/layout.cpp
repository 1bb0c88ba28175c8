#include "layout.h"

#include "tensor.h"
#include "text.h"

namespace fastnorm {
namespace {

Layout of(const Tensor& x) {
    Layout layout;
    layout.data = layout.view = Shape(x);
    return layout;
}

// Sets the roles from a function of the axis, and the size of a group, which follows from them.
template <class F>
void set_roles(Layout& layout, F&& role) {
    for (std::size_t i = 0; i < layout.view.size(); ++i) {
        layout.roles[i] = role(i);
        if (layout.roles[i] & reduced) layout.group_size *= layout.view[i];
    }
}

// Channels need an axis beside them.
std::size_t channel_axis(const char* name, const Tensor& x, std::int64_t axis) {
    if (x.ndim < 2) {
        wrong_value(std::string(name) + " must have two or more dimensions, got " + shape_of(name, Shape(x)));
    }
    return checked_axis(name, x, axis);
}

std::size_t channel_axis_of_samples(const Tensor& x, std::int64_t axis) {
    const std::size_t result = channel_axis("x", x, axis);
    if (result == 0) {
        wrong_value("axis must not be 0, the sample axis of " + shape_of("x", Shape(x)) + ", got " + text(axis));
    }
    return result;
}

// The named axes as flags, in the order of the tensor.
std::array<bool, Shape::kMost> named_axes(const char* name, const Tensor& x, const AxisList& axis) {
    if (x.ndim == 0) {
        wrong_value(std::string(name) + " must have one or more dimensions, got " + shape_of(name, Shape(x)));
    }
    if (axis.size() == 0) wrong_value("axis must name one axis or more, got ()");
    std::array<bool, Shape::kMost> named;
    std::fill_n(named.begin(), x.ndim, false);
    for (std::size_t i = 0; i < axis.size(); ++i) {
        bool& found = named[checked_axis(name, x, axis[i])];
        if (found) {
            std::string got = "(";
            for (std::size_t k = 0; k < axis.size(); ++k) got += (k ? ", " : "") + text(axis[k]);
            wrong_value("axis must not repeat an axis of " + shape_of(name, Shape(x)) + ", got " + got + ")");
        }
        found = true;
    }
    return named;
}

Layout grouped(const Tensor& x, std::size_t axis, std::size_t groups) {
    Layout layout = of(x);
    const std::size_t channels = x.shape[axis];
    // One group, and groups of one channel, need no split of the channel axis: it would end the runs of the sums.
    const bool instances = groups == channels, whole = groups == 1 && !instances;
    if (!instances && !whole) {
        layout.split = axis;
        layout.width = channels / groups;
        layout.view.clear();
        for (std::size_t i = 0; i < x.ndim; ++i) {
            layout.view.push(i == axis ? groups : x.shape[i]);
            if (i == axis) layout.view.push(layout.width);
        }
    }
    set_roles(layout, [&](std::size_t i) -> std::uint8_t {
        if (i == 0) return kept;
        if (i == axis) return whole ? reduced_param : param;
        return layout.split == axis && i == axis + 1 ? reduced_param : reduced;
    });
    layout.axes = {axis};
    layout.parameters = {channels};
    layout.statistics = {x.shape[0], groups};
    return layout;
}

}  // namespace

void Layout::strides(const Tensor& tensor, std::ptrdiff_t* steps) const {
    if (split == Shape::kMost && !is_reordered_) {
        strides_of(tensor, steps);
        return;
    }
    for (std::size_t i = 0; i < view.size(); ++i) {
        steps[i] = times(stride_of(tensor, data_axis(i)), data_steps(i));
    }
}

void Layout::plan_for_gradients() {
    bool follows = true, inside = false;
    for (std::size_t i = 0; i < view.size(); ++i) {
        roles[i] &= reduced_param;
        if (!(roles[i] & param)) continue;
        inside |= static_cast<bool>(roles[i] & reduced);
        follows &= !inside || (roles[i] & reduced);
    }
    if (follows) return;
    const Shape old_view = view;
    const auto old_roles = roles;
    std::size_t next = 0;
    for (const bool is_reduced : {false, true}) {
        for (std::size_t i = 0; i < old_view.size(); ++i) {
            if (static_cast<bool>(old_roles[i] & reduced) != is_reduced) continue;
            view[next] = old_view[i];
            roles[next] = old_roles[i];
            order_[next++] = static_cast<std::uint8_t>(i);
        }
    }
    is_reordered_ = true;
}

std::size_t checked_axis(const char* name, const Tensor& x, std::int64_t axis) {
    const auto n = static_cast<std::int64_t>(x.ndim);
    if (axis < -n || axis >= n) {
        wrong_value("axis must be from " + text(-n) + " to " + text(n - 1) + " for " + shape_of(name, Shape(x)) +
                    ", got " + text(axis));
    }
    return static_cast<std::size_t>(axis < 0 ? axis + n : axis);
}

Layout batch_layout(const char* name, const Tensor& x, std::int64_t axis) {
    const std::size_t channel = channel_axis(name, x, axis);
    Layout layout = of(x);
    set_roles(layout, [&](std::size_t i) -> std::uint8_t { return i == channel ? param : reduced; });
    layout.axes = {channel};
    layout.parameters = layout.statistics = {x.shape[channel]};
    return layout;
}

Layout rows_layout(const char* name, const Tensor& x, const AxisList& axis) {
    const auto named = named_axes(name, x, axis);
    Layout layout = of(x);
    set_roles(layout, [&](std::size_t i) -> std::uint8_t { return named[i] ? reduced_param : kept; });
    for (std::size_t i = 0; i < x.ndim; ++i) {
        if (named[i]) layout.axes.push(i), layout.parameters.push(x.shape[i]);
        layout.statistics.push(named[i] ? 1 : x.shape[i]);
    }
    return layout;
}

Layout groups_layout(const Tensor& x, std::int64_t num_groups, std::int64_t axis) {
    const std::size_t channel = channel_axis_of_samples(x, axis), channels = x.shape[channel];
    if (num_groups < 1) wrong_value("num_groups must be positive, got " + text(num_groups));
    if (channels % static_cast<std::size_t>(num_groups)) {
        wrong_value("num_groups must divide the " + text(channels) + " channels on axis " + text(channel) + " of " +
                    shape_of("x", Shape(x)) + ", got " + text(num_groups));
    }
    return grouped(x, channel, static_cast<std::size_t>(num_groups));
}

Layout instances_layout(const Tensor& x, std::int64_t axis) {
    const std::size_t channel = channel_axis_of_samples(x, axis);
    return grouped(x, channel, x.shape[channel]);
}

Layout filters_layout(const char* name, const Tensor& w, const AxisList& axis, std::int64_t groups) {
    Layout layout = of(w);
    const bool whole = axis.size() == 0 && !axis.is_list();
    std::array<bool, Shape::kMost> named;
    if (whole) {
        std::fill_n(named.begin(), w.ndim, false);
    } else {
        named = named_axes(name, w, axis);
    }
    if (groups < 1) wrong_value("groups must be positive, got " + text(groups));
    if (groups > 1 && whole) wrong_value("groups must be 1 for axis=None, got " + text(groups));
    const auto parts = static_cast<std::size_t>(groups);
    if (groups > 1 && w.shape[0] % parts != 0) {
        wrong_value("groups must divide the " + text(w.shape[0]) + " channels on axis 0 of " +
                    shape_of(name, layout.data) + ", got " + text(groups));
    }
    // Filters along axis 0 belong to one group each.
    const bool splits = groups > 1 && !named[0];
    if (splits) {
        layout.split = 0;
        layout.groups = parts;
        layout.width = w.shape[0] / parts;
        layout.view = {parts, layout.width};
        for (std::size_t i = 1; i < w.ndim; ++i) layout.view.push(w.shape[i]);
    }
    set_roles(layout, [&](std::size_t i) -> std::uint8_t {
        if (splits) return i == 0 || (i > 1 && named[i - 1]) ? param : reduced;
        return named[i] ? param : reduced;
    });
    for (std::size_t i = 0; i < w.ndim; ++i) {
        if (!named[i]) continue;
        layout.parameters.push(w.shape[i] * (layout.axes.size() == 0 ? layout.groups : 1));
        layout.axes.push(i);
    }
    layout.statistics = layout.parameters;
    return layout;
}

Layout moments_layout(const Tensor& x, const AxisList& axis) {
    Layout layout = of(x);
    const bool all = axis.size() == 0 && !axis.is_list();
    std::array<bool, Shape::kMost> named;
    if (all) {
        std::fill_n(named.begin(), x.ndim, true);
    } else {
        named = named_axes("x", x, axis);
    }
    // Not as channels: the moments of a part of them have the bits that they have among all.
    set_roles(layout, [&](std::size_t i) -> std::uint8_t { return named[i] ? reduced : kept; });
    for (std::size_t i = 0; i < x.ndim; ++i) layout.statistics.push(named[i] ? 1 : x.shape[i]);
    return layout;
}

}  // namespace fastnorm
