// Checks of arguments: each says what, expected and got, before anything is written.
#pragma once

#include <string_view>

#include "layout.h"
#include "results.h"
#include "text.h"

namespace fastnorm {

// The array that is normalized: a floating dtype.
void check_data(const char* name, const Tensor& x);
// An array that goes with x, whose name is `of`, element by element.
void check_like(const char* name, const Tensor& value, const Tensor& x, const char* of = "x");
// A dtype that parameters for x may have: that of the data or a wider one.
void check_parameter_dtype(const char* name, const Tensor& value, const Tensor& x, const char* of = "x");
// An array with one value per index of the layout's parameter axes.
void check_per_channel(const char* name, const Tensor& value, const Layout& layout, const Tensor& x,
                       const char* of = "x");
// A statistic that a forward pass saved.
void check_statistic(const char* name, const Tensor& value, const Layout& layout, const char* of = "x");
void check_statistic_dtype(const char* name, const Tensor& value);
void check_double(const char* name, const Tensor& value);
// A type of quantized output.
DType check_byte(DType dtype);
// Numbers in a range; each name has one. See number_expectation.
double check_number(const char* name, double value);
// "a finite number >= 0" and the like: what an argument of that name must be.
const char* number_expectation(const char* name);
// The names of activations, in the order of their numbers from 1 on; and the activation of a name, "" being none.
constexpr const char* kActivationNames[] = {"relu", "silu", "gelu", "gelu_tanh"};
Activation check_activation(std::string_view name);
Activation check_activation(Activation activation);
// A mask that broadcasts against x.
void check_mask(const Tensor& where, const Tensor& x);
// Where a result goes, if the caller says so: like x, or bytes.
void check_out(const char* name, const MutableTensor& out, DType dtype, const Tensor& x, const char* of,
               const Maker& maker);
// Something of ours that is written to: every element has a place of its own.
void check_places(const char* name, const Tensor& value);
// Two arrays of which one is written to.
void check_apart(const char* name, const Tensor& value, const char* other, const Tensor& values);
// A variance that is trained with needs two values.
void check_several_values(const Layout& layout);
void check_present(const char* name, const Tensor& value);
// "3 groups of " where there are several.
std::string groups_text(const Layout& layout);

}  // namespace fastnorm
