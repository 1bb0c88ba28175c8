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
    std::size_t groups = 1;      // parts of axis 0 with parameters of their own, counted along the first of `axes`
    Shape parameters;            // their shape
    Shape statistics;            // the shape of mean and rstd
    std::size_t group_size = 1;  // elements in a group
    bool is_varied = false;      // whether parameters vary along other axes than those

    bool is_empty() const { return data.count() == 0; }
    // Strides of a tensor of the data's shape along the axes of the view.
    void strides(const Tensor& tensor, std::ptrdiff_t* steps) const;
    // The axis of the data that an axis of the view belongs to, and how many steps of it one there takes.
    std::size_t data_axis(std::size_t view_axis) const {
        const std::size_t axis = place(view_axis);
        return axis > split ? axis - 1 : axis;
    }
    std::size_t data_steps(std::size_t view_axis) const { return place(view_axis) == split ? width : 1; }
    // What gradients need where parameters vary: plans go by the roles themselves, and reduced axes come last where
    // parameters would else not follow one another within a group.
    void plan_for_gradients();
    Space space(DType dtype) const { return {dtype, view.size(), view.data(), roles.data()}; }

private:
    bool is_reordered_ = false;
    std::array<std::uint8_t, Shape::kMost> order_;  // if so: where the axes of the view stood before

    std::size_t place(std::size_t view_axis) const { return is_reordered_ ? order_[view_axis] : view_axis; }
};

// Each checks the arguments that choose the axes. `name` is that of the tensor.
Layout batch_layout(const char* name, const Tensor& x, std::int64_t axis);
Layout rows_layout(const char* name, const Tensor& x, const AxisList& axis);
Layout groups_layout(const Tensor& x, std::int64_t num_groups, std::int64_t axis);
Layout instances_layout(const Tensor& x, std::int64_t axis);
Layout filters_layout(const char* name, const Tensor& w, const AxisList& axis, std::int64_t groups);
// Statistics over the named axes, all if none: no parameters.
Layout moments_layout(const Tensor& x, const AxisList& axis);

// An axis counted from the front.
std::size_t checked_axis(const char* name, const Tensor& x, std::int64_t axis);

}  // namespace fastnorm
