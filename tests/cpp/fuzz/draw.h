// Draws the arguments of a call: mostly what the operation takes, laid out in any way, and now and then something else.
#pragma once

#include "memory.h"

namespace fuzz {

// The statistics that a norm hands out.
enum class Saved : std::uint8_t { none, rstd, both };

class Draw final : public fn::ResultMaker {
public:
    Draw(Bytes bytes, bool apart);

    // The shape and dtype of the array that is normalized, which the others follow from.
    const Shape& shape() const { return shape_; }
    fn::DType dtype() const { return dtype_; }
    std::int64_t axis();
    fn::AxisList axes();
    // Shapes that belong to axes: their lengths; that of the data with 1 along them; with 1 along the others.
    Shape along(const fn::AxisList& axes) const;
    Shape without(const fn::AxisList& axes) const;
    Shape only(const fn::AxisList& axes) const;

    fn::Tensor input(Shape shape, fn::DType dtype, Values values);
    fn::Tensor input(const Shape& shape) { return input(shape, dtype_, draw_values()); }
    fn::Tensor data() { return input(shape_); }
    fn::Tensor statistic(const Shape& shape, Values values = Values::numbers);
    // A parameter, or none: of the data's dtype or a wider one; with `broadcasts`, of any shape that does.
    fn::Tensor parameter(const Shape& channels, bool broadcasts = true);
    fn::Tensor mask();

    fn::MutableTensor result(Shape shape, fn::DType dtype);
    // One that the caller need not bring; a maker then makes it, where there is one.
    fn::MutableTensor optional_result(const Shape& shape, fn::DType dtype);
    fn::MutableTensor required_result(const Shape& shape, fn::DType dtype);
    fn::MutableTensor statistic_result(const Shape& shape, bool hands_out) {
        return hands_out ? optional_result(shape, fn::DType::f64) : fn::MutableTensor();
    }
    fn::ResultMaker* maker() { return has_maker_ ? this : nullptr; }

    double number(double usual);
    std::int64_t whole(std::int64_t usual);
    fn::Activation activation();
    fn::NormOptions norm_options(const Shape& channels);
    fn::BackwardOptions backward_options(const Shape& channels);
    fn::RunningStatistics running(const Shape& channels, bool mean_only);
    // Of a norm whose options have been drawn: in bytes where those say so.
    fn::NormResults norm_results(const Shape& statistics, Saved saved);
    fn::AddNormResults add_norm_results(const Shape& statistics, Saved saved);
    fn::GradientResults gradients(const Shape& channels);

    fn::MutableTensor make(std::size_t index, fn::DType dtype, std::size_t ndim, const std::size_t* shape,
                           const fn::Tensor& like, const fn::Tensor& other) override;

    Bytes bytes;
    Memory memory;
    bool is_huge = false;  // some shape is: there may be no memory for what goes with it

private:
    Shape draw_shape();
    Values draw_values();
    std::vector<bool> named(const fn::AxisList& axes) const;
    // Now and then another dtype or shape.
    void spoil(Shape& shape, fn::DType& dtype);
    // Strides for a shape, in a block of its own or in one that is there. Results mostly have a place for each element.
    View lay_out(const Shape& shape, fn::DType dtype, Values values, bool is_result);
    void draw_strides(View& view, unsigned any_of_256);
    void place(View& view, Values values, bool may_share);

    Shape shape_;
    fn::DType dtype_, out_dtype_;
    bool has_maker_, has_rows_ = false;
    fn::QuantizeOptions quantize_;
    fn::QuantizeRowsOptions quantize_rows_;
};

struct Operation {
    const char* name;
    void (*call)(Draw&);
};

const std::vector<Operation>& operations();

}  // namespace fuzz
