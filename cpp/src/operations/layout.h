// Operations become roles of axes: which axes of a tensor the statistics of an operation run over, and along which its
// parameters vary. A layout knows shapes and no strides: the drivers plan with those.
#pragma once

#include "shape.h"

namespace fastnorm {

struct Layout {
    Shape data;                                    // the tensor's shape
    Shape view;                                    // the same, one axis perhaps split in two
    std::array<std::uint8_t, Shape::kMost> roles;  // one per axis of the view
    std::size_t split = Shape::kMost;  // the axis that is split, if any; the view's second length of the two is
    std::size_t width = 1;             // this one
    Shape axes;                        // of the tensor, along which the parameters vary
    Shape parameters;                  // their shape
    Shape statistics;                  // the shape of mean and rstd
    std::size_t group_size = 1;        // elements in a group
    bool is_varied = false;            // whether parameters vary along other axes than those

    bool is_empty() const { return data.count() == 0; }
    // Strides of a tensor of the data's shape along the axes of the view.
    void strides(const Tensor& tensor, std::ptrdiff_t* steps) const;
    Space space(DType dtype) const { return {dtype, view.size(), view.data(), roles.data()}; }
};

// Each checks the arguments that choose the axes. `name` is that of the tensor.
Layout batch_layout(const Tensor& x, std::int64_t axis);
Layout rows_layout(const char* name, const Tensor& x, const AxisList& axis);
Layout groups_layout(const Tensor& x, std::int64_t num_groups, std::int64_t axis);
Layout instances_layout(const Tensor& x, std::int64_t axis);
Layout filters_layout(const char* name, const Tensor& w, const AxisList& axis);
// Statistics over the named axes, all if none: no parameters.
Layout moments_layout(const Tensor& x, const AxisList& axis);

// An axis counted from the front.
std::size_t checked_axis(const char* name, const Tensor& x, std::int64_t axis);

}  // namespace fastnorm
